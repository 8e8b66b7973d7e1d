# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Measures how memory comes and goes, and makes a table of it. script/memory is its front; perf/bench/driver runs the patterns."""
