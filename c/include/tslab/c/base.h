/* SPDX-FileCopyrightText: 2026 The tslab authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the other parts of <tslab/tslab.h> use: the version, the opaque types, results, and reports of misuse.
 *
 * Conventions of the whole interface. Sizes are in bytes, times in nanoseconds unless the name says otherwise. No function lets a
 * C++ exception pass. Texts that a function takes are copied before it returns. A structure that may grow is passed with its size,
 * so that a program and a library of different versions of one ABI agree on its length; fields are only appended. A function that
 * gets null where it needs an object, or an object that was not begun or has ended, reports TSLAB_MISUSE_BAD_ARGUMENT to the error
 * handler; if the handler returns, the function has no effect and returns null, 0 or false. Functions are thread safe unless they
 * say otherwise. */
#ifndef TSLAB_C_BASE_H
#define TSLAB_C_BASE_H

#if defined(__cplusplus) && __cplusplus < 201703L
#error "tslab's headers need C++17 or later: compile with -std=c++17"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
#include <string_view>
#endif

/* The ABI of these headers. It changes when a function or a field is removed or gets another meaning, and with it the number in the
 * library's name, libtslab.so.0. */
#define TSLAB_ABI 0
#define TSLAB_VERSION "0.1.0"

/* What the library exports, what each program and shared object has of its own, and what lets no exception pass. */
#if defined(__GNUC__)
/* Marks a declaration of the library. */
#define TSLAB_API __attribute__((visibility("default")))
/* Marks an inline function or variable: never another binary's, which may be linked with another copy of the library. */
#define TSLAB_LOCAL __attribute__((visibility("hidden")))
#else
/* Marks a declaration of the library. */
#define TSLAB_API
/* Marks an inline function or variable: never another binary's, which may be linked with another copy of the library. */
#define TSLAB_LOCAL
#endif

#ifdef __cplusplus
extern "C" {
/* Marks a function that lets no exception pass. */
#define TSLAB_NOEXCEPT noexcept
#else
/* Marks a function that lets no exception pass. */
#define TSLAB_NOEXCEPT
#endif

/* The ABI and the version of the library that is loaded. */
TSLAB_API unsigned tslab_abi(void) TSLAB_NOEXCEPT;
TSLAB_API const char* tslab_version(void) TSLAB_NOEXCEPT;

/* A heap. In a program that also imports the C++ module, the address of its tslab::allocator. */
typedef struct tslab_heap tslab_heap;

/* A domain: a hold on an epoch, see tslab/c/scope.h. The storage is the caller's; its content is the library's. */
typedef struct tslab_domain {
    void* opaque[10];
} tslab_domain;

/* A resource: an epoch, a domain in it, and a std::pmr::memory_resource. The storage is the caller's, and must not be moved. */
typedef struct tslab_resource {
    void* opaque[20];
} tslab_resource;

/* A scope: the guard of a phase. The storage is the caller's, and must not be moved. */
typedef struct tslab_scope {
    tslab_resource own;
    void* opaque[4];
} tslab_scope;

/* An epoch: a slot of the ring, and the era that tells its uses apart. No era comes twice. */
typedef struct tslab_epoch {
    uint32_t index;
    uint64_t era;
} tslab_epoch;

/* Names one allocation. 0 names nothing. */
typedef uint64_t tslab_handle;

/* A text of `size` bytes, not terminated; `data` is null only if it is empty. */
typedef struct tslab_text {
    const char* data;
    size_t size;
#ifdef __cplusplus
    TSLAB_LOCAL operator std::string_view() const noexcept { return {data, size}; }
#endif
} tslab_text;

/* Why a function failed. */
typedef enum tslab_status {
    TSLAB_OK = 0,             /* it did not */
    TSLAB_OUT_OF_MEMORY = 1,  /* memory, address space, or a hook at thread exit or fork cannot be had */
    TSLAB_INVALID = 2,        /* an option is out of range, or an argument is null */
    TSLAB_ABI_MISMATCH = 3,   /* headers and library have different ABIs */
    TSLAB_FAILED = 4          /* anything else; the text says what */
} tslab_status;

/* Why a function failed: the status, and one sentence, terminated, without a newline. */
typedef struct tslab_failure {
    tslab_status status;
    char text[252];
} tslab_failure;

/* Kinds of misuse; docs/misuse.md has what each means. More may be added. */
typedef enum tslab_misuse {
    TSLAB_MISUSE_DOUBLE_FREE = 0,
    TSLAB_MISUSE_FOREIGN_POINTER = 1,
    TSLAB_MISUSE_INTERIOR_POINTER = 2,
    TSLAB_MISUSE_WRONG_SIZE = 3,
    TSLAB_MISUSE_WRONG_HEAP = 4,
    TSLAB_MISUSE_WRONG_RESOURCE = 5,
    TSLAB_MISUSE_SCOPE_ORDER = 6,
    TSLAB_MISUSE_WRONG_THREAD = 7,
    TSLAB_MISUSE_NOT_ENTERED = 8,
    TSLAB_MISUSE_DESTROYED_ENTERED = 9,
    TSLAB_MISUSE_REENTRY = 10,
    TSLAB_MISUSE_LEAK = 11,
    TSLAB_MISUSE_HEAP_LIVE = 12,
    TSLAB_MISUSE_HEAP_OPEN = 13,
    TSLAB_MISUSE_OVERFLOW = 14,
    TSLAB_MISUSE_WRITE_AFTER_FREE = 15,
    TSLAB_MISUSE_WRONG_ALIGNMENT = 16,
    TSLAB_MISUSE_BAD_ARGUMENT = 17,
    TSLAB_MISUSE_OVERLAPPING_USE = 18
} tslab_misuse;

/* The argument of an error handler. Pointers are valid during the call only. */
typedef struct tslab_misuse_report {
    size_t size;               /* of the structure that the library passes */
    tslab_misuse kind;
    bool fatal;                /* the default handler aborts */
    const void* address;       /* the pointer that was passed, if any */
    tslab_text heap;           /* name of the heap; empty if it is not known */
    tslab_text epoch_label;    /* label of the epoch that the memory or the scope belongs to */
    size_t size_class;         /* bytes of the slot; 0 for large memory or none */
    tslab_text other;          /* the other heap, resource or scope; the function and argument of TSLAB_MISUSE_BAD_ARGUMENT */
    size_t given;              /* wrong size or alignment: the one it was deallocated with */
    uint64_t objects;          /* leak, heap_live, heap_open: how many */
    uint64_t bytes;            /* leak, heap_live: how much */
    const char* file;          /* leak: where the resource was made; heap_open: the oldest; scope_order: `other`; null: not known */
    uint32_t line;
    size_t fitting_alignment;  /* wrong size: the alignment at which the size would be right; 0: none */
    uint64_t other_thread;     /* overlapping use: the number of the thread whose use is under way */
} tslab_misuse_report;

/* Called on the thread that misused, possibly by several threads at once. It may abort, or return: then the operation is a counted
 * no-op. It must not call into the heap of the report, nor leave by an exception or longjmp. */
typedef void (*tslab_error_handler)(const tslab_misuse_report* report);

/* What tslab_set_error_handler calls. Returns null without effect, and prints a line to stderr, if `abi` is not the library's. */
TSLAB_API tslab_error_handler tslab_set_error_handler_abi(unsigned abi, const char* version,
                                                          tslab_error_handler handler) TSLAB_NOEXCEPT;

/* Installs `handler` for the process; null installs the default one, which prints one line and aborts where the report is fatal.
 * Returns the handler before, null if that was the default. A handler that C++ code installed is returned as a function that stands
 * for it: passing it to this function installs it again; it is not to be called. */
static inline tslab_error_handler tslab_set_error_handler(tslab_error_handler handler)
{
    return tslab_set_error_handler_abi(TSLAB_ABI, TSLAB_VERSION, handler);
}

/* Writes the line that the default handler prints for the report, with its newline, into [out, out + size), cut if it does not fit,
 * and returns its length. Allocates nothing. It is not terminated. */
TSLAB_API size_t tslab_format_report(const tslab_misuse_report* report, char* out, size_t size) TSLAB_NOEXCEPT;

/* Returns the name that statistics give to a kind of misuse, such as "double_free"; "unknown" if no kind has that number. */
TSLAB_API const char* tslab_misuse_name(tslab_misuse kind) TSLAB_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif
