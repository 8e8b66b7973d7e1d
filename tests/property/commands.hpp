// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The commands that a machine carries out (machine.hpp), and what it is set up with.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <ostream>

namespace property {

enum class act : std::uint8_t {
    allocate,   ///< by pointer, in the current epoch or another one
    allocate_by_handle,
    allocate_from,   ///< a resource, aligned
    free,            ///< by pointer, by its handle, or to its resource
    free_twice,
    free_stale,   ///< the last handle that was freed
    advance,
    close,
    trim,
    trim_all,
    open,          ///< a resource with an epoch of its own
    open_shared,   ///< one in the current epoch
    end,           ///< of a resource
    release,
    enter,   ///< a scope
    leave,
    end_thread,
    look   ///< compare a snapshot with the model
};
inline constexpr std::array act_names{"allocate",      "allocate_by_handle",
                                      "allocate_from", "free",
                                      "free_twice",    "free_stale",
                                      "advance",       "close",
                                      "trim",          "trim_all",
                                      "open",          "open_shared",
                                      "end",           "release",
                                      "enter",         "leave",
                                      "end_thread",    "look"};

struct command {
    act what = act::look;
    unsigned thread = 0;
    unsigned pick = 0;    ///< among what is there
    unsigned count = 1;   ///< of allocations or frees
    std::size_t size = 0;
    unsigned alignment = 0;   ///< its logarithm
};

inline std::ostream& operator<<(std::ostream& to, command const& c)
{
    to << act_names[static_cast<std::size_t>(c.what)] << " on thread " << c.thread << ", pick " << c.pick;
    if (c.what <= act::free)
        to << ", " << c.count << " times";
    if (c.what <= act::allocate_from)
        to << ", " << c.size << " bytes";
    if (c.what == act::allocate_from)
        to << " at " << (std::size_t{1} << c.alignment);
    return to;
}

struct setting {
    unsigned epochs = 4;
    unsigned reclaim = 0;
};

inline std::ostream& operator<<(std::ostream& to, setting const& s)
{
    return to << s.epochs << " epochs, reclaim policy " << s.reclaim;
}

/// A rule that the model gets wrong, so that it can be seen that this is found and made small.
enum class error : std::uint8_t { none, frees_elsewhere_do_nothing, advance_keeps_epochs_open };

}
