# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# What is installed: the libraries, the sources of the module interfaces, and a package that find_package(tslab) finds.
# Users compile the interfaces themselves, with their own flags, so no compiled interface (BMI) is installed.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(tslab_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tslab)

# Each component has an export set of its own, so that the core asks for nothing that only a component needs. A target's fragments
# are headers that its interface units include, so they go beside those.
function(tslab_install_component export_name target)
    install(TARGETS ${target} EXPORT ${export_name}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET CXX_MODULES DESTINATION ${CMAKE_INSTALL_DATADIR}/tslab
        FILE_SET fragments DESTINATION ${CMAKE_INSTALL_DATADIR}/tslab)
    install(EXPORT ${export_name} NAMESPACE tslab:: DESTINATION ${tslab_package_dir}
        CXX_MODULES_DIRECTORY ${export_name}-modules)
endfunction()

tslab_install_component(tslab-core tslab_core)
tslab_install_component(tslab-inspect tslab_inspect)
if(TARGET tslab_boost)
    tslab_install_component(tslab-boost tslab_boost)
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
    DESTINATION ${tslab_package_dir})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# What an operator sets up: rules, dashboards, units. The units name the program by the path it is installed at, which
# cmake --install --prefix decides, so they are made then.
set(tslab_monitoring_dir ${CMAKE_INSTALL_DATADIR}/tslab/monitoring)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/monitoring/ DESTINATION ${tslab_monitoring_dir}
    PATTERN "*.in" EXCLUDE PATTERN "*.py" EXCLUDE PATTERN "__pycache__" EXCLUDE)
install(CODE "
    cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_PREFIX OUTPUT_VARIABLE prefix)
    cmake_path(APPEND prefix \"${CMAKE_INSTALL_BINDIR}\" OUTPUT_VARIABLE TSLAB_BINDIR)
    cmake_path(APPEND prefix \"${tslab_monitoring_dir}\" systemd OUTPUT_VARIABLE units)
    configure_file(\"${PROJECT_SOURCE_DIR}/monitoring/systemd/tslab-textfile.service.in\"
        \"${PROJECT_BINARY_DIR}/monitoring/tslab-textfile.service\" @ONLY)
    file(INSTALL \"${PROJECT_BINARY_DIR}/monitoring/tslab-textfile.service\" DESTINATION \"\${units}\")
")
