// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Fills a static container whose memory comes from a static resource, and ends: what happens then is in the order of the
// destructors.
#include "shared.hpp"

int main() { fill_container(1000); }
