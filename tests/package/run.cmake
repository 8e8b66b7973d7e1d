# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# The steps of the package test; CMakeLists.txt says what the variables are. What follows "--" on the command line goes
# to the consumer's configuration as it stands.
cmake_minimum_required(VERSION 3.28)

function(run)
    execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

set(configuration "")
foreach(i RANGE ${CMAKE_ARGC})
    if(DEFINED after_dashes)
        list(APPEND configuration "${CMAKE_ARGV${i}}")
    elseif("${CMAKE_ARGV${i}}" STREQUAL "--")
        set(after_dashes TRUE)
    endif()
endforeach()

file(REMOVE_RECURSE ${PREFIX} ${CONSUMER_BUILD_DIR})
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${PREFIX})

file(GLOB_RECURSE compiled_interfaces ${PREFIX}/*.pcm ${PREFIX}/*.bmi)
if(compiled_interfaces)
    message(FATAL_ERROR "compiled module interfaces were installed: ${compiled_interfaces}")
endif()

run(${CMAKE_COMMAND} -S ${CONSUMER} -B ${CONSUMER_BUILD_DIR} -G Ninja -D CMAKE_PREFIX_PATH=${PREFIX} ${configuration})
run(${CMAKE_COMMAND} --build ${CONSUMER_BUILD_DIR} -- --quiet)
run(${CMAKE_CTEST_COMMAND} --test-dir ${CONSUMER_BUILD_DIR} --output-on-failure --no-tests=error)
