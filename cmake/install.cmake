# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# What is installed: the libraries, the sources of the module interfaces, and a package that find_package(tslab) finds.
# Users compile the interfaces themselves, with their own flags, so no compiled interface (BMI) is installed.
# Components of the installation are those of the Debian packages (packages.cmake): library, development and tools.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(tslab_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tslab)

# Each component has an export set of its own, so that the core asks for nothing that only a component needs. A target's fragments
# are headers that its interface units include, so they go beside those.
function(tslab_install_component export_name target)
    install(TARGETS ${target} EXPORT ${export_name}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
        FILE_SET CXX_MODULES DESTINATION ${CMAKE_INSTALL_DATADIR}/tslab COMPONENT development
        FILE_SET fragments DESTINATION ${CMAKE_INSTALL_DATADIR}/tslab COMPONENT development)
    install(EXPORT ${export_name} NAMESPACE tslab:: DESTINATION ${tslab_package_dir} COMPONENT development
        CXX_MODULES_DIRECTORY ${export_name}-modules)
endfunction()

tslab_install_component(tslab-core tslab_core)
tslab_install_component(tslab-inspect tslab_inspect)
if(TARGET tslab_boost)
    tslab_install_component(tslab-boost tslab_boost)
    install(TARGETS tslab_asio EXPORT tslab-boost
        FILE_SET headers DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
endif()

# For programs without modules: the headers, libtslab.so and libtslab.a, which pkg-config and the component "headers" find; and for
# programs that import modules too, tslab::c.
set(TSLAB_LIBDIR ${CMAKE_INSTALL_LIBDIR})
set(TSLAB_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET tslab_shared)
    install(TARGETS tslab_shared
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development
        FILE_SET headers DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
    install(TARGETS tslab_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
    install(TARGETS tslab_c EXPORT tslab-c
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
        FILE_SET headers DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
    install(EXPORT tslab-c NAMESPACE tslab:: DESTINATION ${tslab_package_dir} COMPONENT development)
    configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/tslab-headers.cmake.in ${PROJECT_BINARY_DIR}/tslab-headers.cmake
        INSTALL_DESTINATION ${tslab_package_dir} PATH_VARS TSLAB_LIBDIR TSLAB_INCLUDEDIR)
    install(FILES ${PROJECT_BINARY_DIR}/tslab-headers.cmake DESTINATION ${tslab_package_dir} COMPONENT development)
    install(CODE "
        cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_PREFIX OUTPUT_VARIABLE prefix)
        cmake_path(APPEND prefix \"${CMAKE_INSTALL_LIBDIR}\" OUTPUT_VARIABLE libdir)
        cmake_path(APPEND prefix \"${CMAKE_INSTALL_INCLUDEDIR}\" OUTPUT_VARIABLE includedir)
        set(PROJECT_DESCRIPTION \"${PROJECT_DESCRIPTION}\")
        set(PROJECT_VERSION \"${PROJECT_VERSION}\")
        configure_file(\"${CMAKE_CURRENT_LIST_DIR}/tslab.pc.in\" \"${PROJECT_BINARY_DIR}/tslab.pc\" @ONLY)
        file(INSTALL \"${PROJECT_BINARY_DIR}/tslab.pc\" DESTINATION \"\${libdir}/pkgconfig\")
    " COMPONENT development)
endif()

# AddressSanitizer has to be in the library and in the program; the package refuses a program whose checks would be in vain.
string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
set(TSLAB_HAS_CHECKS ${TSLAB_CHECKED})
if("${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}" MATCHES "-fsanitize=[a-z,]*address")
    set(TSLAB_HAS_CHECKS ON)
endif()
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/tslab-config.cmake.in ${PROJECT_BINARY_DIR}/tslab-config.cmake
    INSTALL_DESTINATION ${tslab_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tslab-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tslab-config.cmake ${PROJECT_BINARY_DIR}/tslab-config-version.cmake
    DESTINATION ${tslab_package_dir} COMPONENT development)
# Of no package: Debian's have their copyright file instead.
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT licence)

# What an operator sets up: rules, dashboards, and units for systemd, which finds those below /usr and /usr/local. The units name the
# program by the path it is installed at, which cmake --install --prefix decides, so they are made then.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/monitoring/ DESTINATION ${CMAKE_INSTALL_DATADIR}/tslab/monitoring COMPONENT tools
    PATTERN "*.in" EXCLUDE PATTERN "*.py" EXCLUDE PATTERN "__pycache__" EXCLUDE PATTERN "systemd" EXCLUDE)
set(tslab_unit_dir lib/systemd/system)
install(FILES ${PROJECT_SOURCE_DIR}/monitoring/systemd/tslab-textfile.timer DESTINATION ${tslab_unit_dir} COMPONENT tools)
install(CODE "
    cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_PREFIX OUTPUT_VARIABLE prefix)
    cmake_path(APPEND prefix \"${CMAKE_INSTALL_BINDIR}\" OUTPUT_VARIABLE TSLAB_BINDIR)
    cmake_path(APPEND prefix \"${tslab_unit_dir}\" OUTPUT_VARIABLE units)
    configure_file(\"${PROJECT_SOURCE_DIR}/monitoring/systemd/tslab-textfile.service.in\"
        \"${PROJECT_BINARY_DIR}/monitoring/tslab-textfile.service\" @ONLY)
    file(INSTALL \"${PROJECT_BINARY_DIR}/monitoring/tslab-textfile.service\" DESTINATION \"\${units}\")
" COMPONENT tools)
