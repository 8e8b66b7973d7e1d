// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A plug-in that uses tslab.
#include "work.hpp"

extern "C" __attribute__((visibility("default"))) void const* plugin_calls()
{
    static constexpr calls all{&begin, &work, &refuse, &catch_from, &handle_reports, &misuse, &end};
    return &all;
}
