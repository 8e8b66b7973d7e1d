# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Runs perf/bench again and again and makes figures, tables, plots and verdicts of it. script/bench is its front."""
