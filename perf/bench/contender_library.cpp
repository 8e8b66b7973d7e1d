// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "contender_library.hpp"

#include <dlfcn.h>

namespace bench {

std::string library_of_malloc()
{
    Dl_info about{};
    void* const address = dlsym(RTLD_DEFAULT, "malloc");
    return address != nullptr && dladdr(address, &about) != 0 && about.dli_fname != nullptr ? about.dli_fname : "";
}

}
