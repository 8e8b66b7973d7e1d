# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# The steps of the package's tests, one of which STEP names: to install, or a consumer. CMakeLists.txt says what the variables are. What
# follows "--" on the command line goes to the consumer's configuration as it stands.
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

function(install_package)
    file(REMOVE_RECURSE ${PREFIX} ${CONSUMERS_BUILD_DIR})
    run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${PREFIX})

    file(GLOB_RECURSE compiled_interfaces ${PREFIX}/*.pcm ${PREFIX}/*.bmi)
    if(compiled_interfaces)
        message(FATAL_ERROR "compiled module interfaces were installed: ${compiled_interfaces}")
    endif()

    # What an operator sets up is there, and the unit starts the program that was installed.
    foreach(file IN ITEMS share/tslab/monitoring/rules/alerts.yml share/tslab/monitoring/rules/recording.yml
            share/tslab/monitoring/prometheus.yml share/tslab/monitoring/grafana/temporal-slab-observability.json
            lib/systemd/system/tslab-textfile.timer)
        if(NOT EXISTS ${PREFIX}/${file})
            message(FATAL_ERROR "${file} was not installed")
        endif()
    endforeach()
    file(STRINGS ${PREFIX}/lib/systemd/system/tslab-textfile.service start REGEX "^ExecStart=")
    string(FIND "${start}" "ExecStart=${PREFIX}/bin/tslab export" at)
    if(NOT at EQUAL 0)
        message(FATAL_ERROR "the unit starts something else: ${start}")
    endif()
endfunction()

# consume(<folder> <most steps, 0: any> <argument>...): configures, builds and tests the project in the folder.
function(consume folder most_steps)
    string(MAKE_C_IDENTIFIER "${folder} ${ARGN}" name)
    set(build ${CONSUMERS_BUILD_DIR}/${name})
    run(${CMAKE_COMMAND} -S ${CONSUMERS}/${folder} -B ${build} -G Ninja -D CMAKE_PREFIX_PATH=${PREFIX} ${configuration} ${ARGN})
    execute_process(COMMAND ${CMAKE_COMMAND} -E env "NINJA_STATUS=[%f/%t] " ${CMAKE_COMMAND} --build ${build} --parallel 2
        OUTPUT_VARIABLE log RESULT_VARIABLE failed)
    string(REGEX MATCHALL "\\[[0-9]+/[0-9]+\\]" steps "${log}")
    list(LENGTH steps count)
    message(STATUS "${folder}: ${count} steps")
    if(failed OR (most_steps AND (count EQUAL 0 OR count GREATER most_steps)))
        message(FATAL_ERROR "${folder} failed to build, or not in ${most_steps} steps:\n${log}")
    endif()
    run(${CMAKE_CTEST_COMMAND} --test-dir ${build} --output-on-failure --no-tests=error)
endfunction()

if(STEP STREQUAL "install")
    install_package()
elseif(STEP STREQUAL "core")
    consume(core 15 -D CMAKE_DISABLE_FIND_PACKAGE_Boost=ON)
elseif(STEP STREQUAL "umbrella")
    consume(umbrella 20)
elseif(STEP STREQUAL "consumer")
    consume(consumer 0)
elseif(STEP MATCHES "^dialect_(.*)$")
    consume(dialect 0 -D WAY=${CMAKE_MATCH_1})
elseif(STEP STREQUAL "sanitized")
    run(${CMAKE_COMMAND} -S ${CONSUMERS}/sanitized -B ${CONSUMERS_BUILD_DIR}/refused -G Ninja -D CMAKE_PREFIX_PATH=${PREFIX}
        ${configuration} -D REFUSED=ON)
    consume(sanitized 0)
else()
    message(FATAL_ERROR "there is no step \"${STEP}\"")
endif()
