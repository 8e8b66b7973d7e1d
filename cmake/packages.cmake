# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# What cpack makes of an installation: the Debian packages libtslab0, libtslab-dev and tslab-tools, one for each component of the
# install rules. script/package builds them, for the Debian release that it runs on.
set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL library development tools)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGE_NAME ${PROJECT_NAME})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")   # the first line of each component's description
set(CPACK_VERBATIM_VARIABLES ON)
# The paths in what is generated at installation are those of the installed files.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(TSLAB_PACKAGE_CONTACT "The tslab authors <maintainers@tslab.invalid>" CACHE STRING
    "Maintainer of the Debian packages: a name and an address")
set(CPACK_PACKAGE_CONTACT "${TSLAB_PACKAGE_CONTACT}")
set(CPACK_DEBIAN_PACKAGE_VERSION ${PROJECT_VERSION})
# The packages of one release are for that release: the tools link its Boost. Those of a later one are newer.
set(tslab_debian_revision 1)
if(EXISTS /etc/os-release)
    file(STRINGS /etc/os-release os_release REGEX "^(ID|VERSION_ID)=")
    if(os_release MATCHES "ID=debian" AND os_release MATCHES "VERSION_ID=\"?([0-9]+)")
        string(APPEND tslab_debian_revision "~deb${CMAKE_MATCH_1}")
    endif()
endif()
set(CPACK_DEBIAN_PACKAGE_RELEASE ${tslab_debian_revision})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

# For finish.cmake.
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/packaging/debian/finish.cmake)
set(CPACK_TSLAB_CHANGELOG ${PROJECT_SOURCE_DIR}/CHANGELOG.md)
set(CPACK_TSLAB_EMBEDDED_LICENCES ${TSLAB_EMBEDDED_LICENCES})
string(TIMESTAMP CPACK_TSLAB_PACKAGE_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)   # SOURCE_DATE_EPOCH decides, if it is set

set(version "${CPACK_DEBIAN_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libtslab0)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/packaging/debian/triggers)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "lifetime-aware memory allocator - shared library
tslab groups memory by phase: a request, a frame or a transaction has pages
of its own, which are empty together and go back when the phase ends. The
library reports at any time which part of a program owns the memory.

This package has the shared library with the C interface.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libtslab-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libtslab0 (= ${version})")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS "clang-19, cmake, libboost-dev, libboost-json-dev, ninja-build, pkg-config, tslab-tools")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "lifetime-aware memory allocator - development files
tslab groups memory by phase: a request, a frame or a transaction has pages
of its own, which are empty together and go back when the phase ends. The
library reports at any time which part of a program owns the memory.

This package has the headers for C11 and C++17, which any compiler and build
system can use by pkg-config or CMake; the sources of the C++20 modules, for
Clang 19 and CMake with Ninja; and the static libraries.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME tslab-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SUGGESTS "prometheus, prometheus-node-exporter")
set(CPACK_COMPONENT_TOOLS_DESCRIPTION "lifetime-aware memory allocator - programs for operators
tslab looks into the heaps of a live process without stopping it: which part
of the program owns the memory, which phases were never left, what is wrong
and what to do. It serves a page and metrics for Prometheus.

This package has the programs tslab and stats_dump, rules, dashboards, and a
systemd timer, which is not enabled, that writes metrics for node_exporter.")

include(CPack)
