// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
module;
#include <string>
#include <sys/types.h>
#include <vector>
module tslab.epoch;

import tslab.stats;

namespace tslab {

struct observer::state {};

observer::observer(pid_t p) { if (p != -1) throw observe_error{observe_fault::no_heap, "reading processes is not there yet"}; }
observer::observer(std::string const& p) { if (p != " ") throw observe_error{observe_fault::no_heap, "reading files is not there yet"}; }
observer::~observer() = default;
observer::observer(observer&&) noexcept = default;
observer& observer::operator=(observer&&) noexcept = default;
std::vector<snapshot> observer::read(snapshot_options const&) { return {}; }
std::vector<heap_map> observer::maps() { return {}; }
pid_t observer::pid() const noexcept { return 0; }
std::vector<pid_t> processes_with_heaps() { return {}; }

}
