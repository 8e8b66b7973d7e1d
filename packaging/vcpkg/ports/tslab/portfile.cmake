# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# An overlay port that builds the tree it is in: vcpkg install tslab --overlay-ports=packaging/vcpkg/ports. The triplet has to choose
# Clang 19 or later (VCPKG_CHAINLOAD_TOOLCHAIN_FILE), as the library is made of C++20 modules; programs that use its headers need not.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../../.." ABSOLUTE)

vcpkg_check_features(OUT_FEATURE_OPTIONS FEATURE_OPTIONS FEATURES boost TSLAB_BUILD_BOOST)
vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}" GENERATOR Ninja
    OPTIONS ${FEATURE_OPTIONS}
        -DTSLAB_BUILD_TESTS=OFF -DTSLAB_BUILD_EXAMPLES=OFF -DTSLAB_BUILD_TOOLS=OFF -DTSLAB_BUILD_PERF=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/tslab)
vcpkg_fixup_pkgconfig()

# What an operator sets up is not for a tree of development files; headers and module sources are the same in both configurations.
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share"
    "${CURRENT_PACKAGES_DIR}/lib/systemd" "${CURRENT_PACKAGES_DIR}/debug/lib/systemd" "${CURRENT_PACKAGES_DIR}/share/tslab/monitoring"
    "${CURRENT_PACKAGES_DIR}/share/doc")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
