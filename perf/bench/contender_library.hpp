// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Which library this process has its malloc from: a contender that was not loaded must not be taken for another.
#pragma once

#include <string>

namespace bench {

std::string library_of_malloc();

}
