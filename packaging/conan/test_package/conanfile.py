# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Builds and runs the programs of tests/package/headers against the package."""
import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, cmake_layout


class TslabTest(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    generators = "CMakeDeps", "CMakeToolchain"

    def requirements(self):
        self.requires(self.tested_reference_str)

    def layout(self):
        cmake_layout(self, src_folder=os.path.join(os.pardir, os.pardir, os.pardir, "tests", "package", "headers"))

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def test(self):
        if can_run(self):
            self.run(os.path.join(self.cpp.build.bindir, "program"), env="conanrun")
            self.run(os.path.join(self.cpp.build.bindir, "program_c"), env="conanrun")
