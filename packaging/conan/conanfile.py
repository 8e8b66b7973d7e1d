# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Recipe for Conan 2, which builds the tree that it is in: conan create packaging/conan

The profile for building has to have Clang 19 or later: the library is made of C++20 modules. Programs that use its headers need neither."""
import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, rmdir
from conan.tools.scm import Version


class Tslab(ConanFile):
    name = "tslab"
    version = "0.1.0"
    license = "Apache-2.0"
    description = "A lifetime-aware memory allocator: C11 and C++17 headers, C++20 modules"
    topics = ("allocator", "memory", "pmr")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "boost": [True, False]}
    default_options = {"shared": True, "boost": False}

    def export_sources(self):
        root = os.path.join(self.recipe_folder, os.pardir, os.pardir)
        for pattern in ("CMakeLists.txt", "CHANGELOG.md", "LICENSE", "c/*", "cmake/*", "modules/*", "monitoring/*", "packaging/*", "pmr/*", "tools/*"):
            copy(self, pattern, root, self.export_sources_folder)

    def requirements(self):
        self.requires("boost/[>=1.81]")

    def build_requirements(self):
        self.tool_requires("cmake/[>=3.28 <4]")
        self.tool_requires("ninja/[>=1.11]")

    def validate(self):
        if self.settings.os != "Linux" or self.settings.arch != "x86_64":
            raise ConanInvalidConfiguration("tslab is for Linux on x86_64")
        if self.settings.compiler != "clang" or Version(self.settings.compiler.version) < "19":
            raise ConanInvalidConfiguration("tslab is built by Clang 19 or later")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self, generator="Ninja")
        for what in ("TESTS", "EXAMPLES", "TOOLS", "PERF"):
            toolchain.cache_variables[f"TSLAB_BUILD_{what}"] = False
        toolchain.cache_variables["TSLAB_BUILD_BOOST"] = bool(self.options.boost)
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        for folder in ("lib/systemd", "share/doc", "share/tslab/monitoring"):
            rmdir(self, os.path.join(self.package_folder, folder))

    def package_info(self):
        """The headers, by Conan's own files. The modules are found by the package's own CMake files, in builddirs."""
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.set_property("pkg_config_name", "tslab")
        self.cpp_info.builddirs = [os.path.join("lib", "cmake", "tslab")]
        self.cpp_info.libs = ["tslab"]
        if not self.options.shared:
            self.cpp_info.system_libs = ["stdc++", "m", "pthread"]
