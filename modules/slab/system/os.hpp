// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The seam to the operating system: every mapping, unmapping and madvise of tslab goes through this table, and every
// other call that the system may refuse asks it first, so that a test can make any of them fail. Replace it only while
// no heap exists.
#pragma once

export namespace tslab {

/// Other calls to the system, and what happens if one is refused.
enum class os_call : std::uint8_t {
    make_file,       ///< memfd_create, or open: no heap is published
    rename_file,     ///< likewise
    set_file_size,   ///< likewise
    examine_file,    ///< fstat: likewise
    seal_file,       ///< likewise
    map_file,        ///< likewise
    take_space,      ///< fallocate: the records in it are not published
    copy_file,       ///< in a forked child, pwrite: the child is not published
    map_copy,        ///< in a forked child, mmap and mremap: its counts go to the parent's segment
    keep_path,       ///< memory for the file's name: no heap is published
    keep_scope,      ///< memory for a thread's lists, of records and of scopes: std::bad_alloc
    ask_barriers,    ///< registration for membarrier: every operation has a full barrier
    barrier,         ///< membarrier: tried again
    make_exit_key,   ///< pthread_key_create: no heap can be made
    hook_fork,       ///< pthread_atfork: no heap can be made
    hook_exit,       ///< pthread_setspecific: the thread has no record of its own, so it gets no memory
    protect,         ///< mprotect, in a checked build: an object is not guarded
    make_event,      ///< eventfd: there is no thread that purges in the background
    start_thread,    ///< pthread_create: likewise
    watch_group      ///< files of the control group: that thread does not notice that the group is short of memory
};
inline constexpr std::size_t os_call_count = 20;

/// Result of mapping memory at a certain address.
enum class map_result : std::uint8_t {
    mapped,
    taken,    ///< something else is mapped there, or nothing may be mapped there
    refused   ///< there is no memory
};

/// The calls tslab makes for memory. Each may be called from any thread.
struct os_calls {
    /// Address space without memory behind it, page aligned; null on failure.
    void* (*reserve)(std::size_t bytes) noexcept;
    /// Zeroed memory, readable and writable, at exactly that address; never replaces another mapping.
    map_result (*map_at)(void* begin, std::size_t bytes) noexcept;
    /// Makes a part of a reservation readable and writable; false on failure.
    bool (*commit)(void* begin, std::size_t bytes) noexcept;
    /// Returns the memory of whole pages and keeps the address range; the pages read as zero afterwards.
    bool (*purge)(void* begin, std::size_t bytes) noexcept;
    /// Returns a whole reservation, or any part of what map_at gave. False on failure: then all of it remains mapped.
    /// The kernel refuses if the process has as many mappings as it may have (vm.max_map_count) and one would be split.
    bool (*release)(void* begin, std::size_t bytes) noexcept;
    /// Called before each of the other calls, for tests: false makes that call fail with ENOMEM. Null: all are made.
    bool (*grant)(os_call which) noexcept = nullptr;
};

/// The table in use.
[[nodiscard]] os_calls const& os() noexcept;

/// Unmaps private memory for good. If the system refuses, its pages are purged, the refusal is counted, and the
/// addresses are remembered: the next call tries again. Of more than `most_unreleased` the addresses are not
/// remembered. Thread safe. Makes two calls to the system more than os().release at most.
void release_for_good(void* begin, std::size_t bytes) noexcept;
inline constexpr std::size_t most_unreleased = 64;
/// Tries to unmap one of the remembered ranges; false if there is none, or it is refused again. Thread safe.
bool release_one_more() noexcept;
/// How often the system refused to unmap memory in this process, for any caller.
[[nodiscard]] std::uint64_t refused_releases() noexcept;
/// Counts such a refusal.
void note_refused_release() noexcept;

/// Whether `which` may be made. If not, errno is ENOMEM.
[[nodiscard]] bool granted(os_call which) noexcept;

/// Moves a descriptor that was just opened to a number above the standard streams, 100 or more if there is one, so that
/// no message of the program is written into it, and closes the one given. Close-on-exec. Negative ones are returned as
/// they are; -1, with errno set, if there is no such number.
[[nodiscard]] int above_streams(int descriptor) noexcept;

/// Replaces the table, for tests; null restores the real one. Returns the one that was in use. Not thread safe: no
/// other thread may use tslab meanwhile.
os_calls const* set_os_calls(os_calls const* calls) noexcept;

/// Bytes of the machine's memory.
[[nodiscard]] std::uint64_t physical_memory() noexcept;

/// A random number from the system, if it can provide one.
[[nodiscard]] std::uint64_t random_number() noexcept;

/// Makes committed pages fault when they are touched, until they are committed again; false on failure.
[[nodiscard]] bool protect_pages(void* begin, std::size_t bytes) noexcept;

/// Asks the kernel to back a reserved range by huge pages. No effect if it cannot.
void prefer_huge_pages(void* begin, std::size_t bytes) noexcept;

}
