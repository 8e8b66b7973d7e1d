# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# The steps of the test package_headers: installs what a program without modules needs, then builds and runs the project in headers/
# with GCC and Unix makefiles, by CMake and by pkg-config and make. BUILD_DIR, PREFIX, PROJECTS, CONSUMERS_BUILD_DIR as for run.cmake; CC, CXX,
# MAKE and PKG_CONFIG: the programs.
cmake_minimum_required(VERSION 3.28)

function(run)
    execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${PREFIX} ${CONSUMERS_BUILD_DIR})
foreach(component IN ITEMS library development)
    run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${PREFIX} --component ${component})
endforeach()

# configure(<name> <argument>...): a build directory of the project.
set(common -S ${PROJECTS}/headers -G "Unix Makefiles" -D CMAKE_PREFIX_PATH=${PREFIX} -D CMAKE_C_COMPILER=${CC} -D CMAKE_CXX_COMPILER=${CXX}
    -D CMAKE_MAKE_PROGRAM=${MAKE})
function(consume name)
    set(build ${CONSUMERS_BUILD_DIR}/${name})
    run(${CMAKE_COMMAND} ${common} -B ${build} ${ARGN})
    run(${CMAKE_COMMAND} --build ${build})
    run(${CMAKE_CTEST_COMMAND} --test-dir ${build} --output-on-failure --no-tests=error)
endfunction()
consume(shared)
consume(static -D LIBRARY=static)
consume(c_shared -D ONLY_C=ON)
consume(c_static -D ONLY_C=ON -D LIBRARY=static)

# The modules are refused here, and the message names the headers.
execute_process(COMMAND ${CMAKE_COMMAND} -S ${PROJECTS}/core -B ${CONSUMERS_BUILD_DIR}/refused -G "Unix Makefiles" -D CMAKE_PREFIX_PATH=${PREFIX}
    -D CMAKE_CXX_COMPILER=${CXX} -D CMAKE_MAKE_PROGRAM=${MAKE} RESULT_VARIABLE result ERROR_VARIABLE message OUTPUT_QUIET)
string(REGEX REPLACE "[ \n]+" " " message "${message}")
if(NOT result OR NOT message MATCHES "find_package\\(tslab COMPONENTS headers\\)" OR NOT message MATCHES "Ninja" OR NOT message MATCHES "Clang 19")
    message(FATAL_ERROR "a project that asks for the modules with GCC and makefiles is not refused as it should be: ${message}")
endif()
# A component that does not exist is an error that names it.
execute_process(COMMAND ${CMAKE_COMMAND} ${common} -B ${CONSUMERS_BUILD_DIR}/unknown -D COMPONENTS=headrs RESULT_VARIABLE result
    ERROR_VARIABLE message OUTPUT_QUIET)
if(NOT result OR NOT message MATCHES "no component \"headrs\"")
    message(FATAL_ERROR "an unknown component is not refused: ${message}")
endif()
# A version is taken if its minor number is the installed one, and its patch number is not above it.
foreach(wanted IN ITEMS 0.1.0 0.1.99 0.2 0.0 1.0)
    execute_process(COMMAND ${CMAKE_COMMAND} ${common} -B ${CONSUMERS_BUILD_DIR}/version -D TSLAB_WANTED=${wanted} RESULT_VARIABLE result
        ERROR_VARIABLE message OUTPUT_QUIET)
    file(REMOVE_RECURSE ${CONSUMERS_BUILD_DIR}/version)
    string(REGEX REPLACE "[ \n]+" " " message "${message}")
    if(wanted STREQUAL "0.1.0" AND NOT result EQUAL 0)
        message(FATAL_ERROR "a project that asks for version ${wanted} is refused: ${message}")
    elseif(NOT wanted STREQUAL "0.1.0" AND (result EQUAL 0 OR NOT message MATCHES "requested version \"${wanted}\".*version: [0-9.]+"))
        message(FATAL_ERROR "a project that asks for version ${wanted} is not refused as it should be: ${message}")
    endif()
endforeach()

# pkg-config and make. The paths are those of the installation.
file(COPY ${PROJECTS}/headers/ DESTINATION ${CONSUMERS_BUILD_DIR}/make)
file(GLOB_RECURSE pc ${PREFIX}/*/tslab.pc)
cmake_path(GET pc PARENT_PATH pc_dir)
cmake_path(GET pc_dir PARENT_PATH lib_dir)
set(make ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${pc_dir} LD_LIBRARY_PATH=${lib_dir} ${MAKE} -C ${CONSUMERS_BUILD_DIR}/make CC=${CC} CXX=${CXX})
run(${make} program program_c temporal)
foreach(program IN ITEMS program program_c temporal)
    run(${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${lib_dir} ${CONSUMERS_BUILD_DIR}/make/${program})
endforeach()
run(${make} -B program_c PKG_CONFIG_FLAGS=--static LDFLAGS=-static)
run(${CONSUMERS_BUILD_DIR}/make/program_c)
