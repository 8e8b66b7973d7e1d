# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# tslab_warnings: what this project's own code is compiled with. Never exported: users choose their own warnings.
add_library(tslab_warnings INTERFACE)
target_compile_options(tslab_warnings INTERFACE
    -Wall
    -Wextra
    -Wpedantic
    -Wcast-align
    -Wcast-qual
    -Wcomma
    -Wconversion
    -Wdouble-promotion
    -Wextra-semi
    -Wformat=2
    -Wimplicit-fallthrough
    -Wmissing-noreturn
    -Wnon-virtual-dtor
    -Wold-style-cast
    -Woverloaded-virtual
    -Wshadow
    -Wsign-conversion
    -Wthread-safety
    -Wundef
    -Wunreachable-code
    -Wunused
    $<$<BOOL:${TSLAB_WERROR}>:-Werror>)
