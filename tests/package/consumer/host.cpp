// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The program that loads the shared object; it does not know tslab.
#include <cstddef>

std::size_t stored_length();

int main() { return stored_length() == 100 ? 0 : 1; }
