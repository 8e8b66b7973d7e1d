# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# tslab_unite(<target> [BELOW <folder>]): the files of each folder of a target become one unit, or a few; those of all folders within one
# folder of BELOW become one together. Most of the time that a file of 200 lines takes
# to compile goes into what it includes and imports, and into templates that its neighbours instantiate as well. CMake's UNITY_BUILD
# leaves out what imports modules. To be called where the target is made, after its last source and after the properties of its files:
# a file that has options of its own, or is generated, stays alone.
include_guard()
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(tslab_units ${CMAKE_CURRENT_LIST_DIR}/../script/support/units.py)
set(tslab_files_in_unit 20)   # more would keep one processor busy when the others have nothing left

function(tslab_unite target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "BELOW" "")
    get_target_property(sources ${target} SOURCES)
    set(alone "")
    set(folders "")
    foreach(source IN LISTS sources)
        cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE OUTPUT_VARIABLE file)
        get_source_file_property(generated ${file} GENERATED)
        get_source_file_property(options ${file} COMPILE_OPTIONS)
        if(source MATCHES "\\.cpp$" AND NOT generated AND NOT options)
            cmake_path(GET file PARENT_PATH folder)
            if(arg_BELOW)
                cmake_path(IS_PREFIX arg_BELOW "${folder}" is_below)
                if(is_below)
                    cmake_path(RELATIVE_PATH folder BASE_DIRECTORY ${arg_BELOW} OUTPUT_VARIABLE below)
                    string(REGEX REPLACE "/.*" "" below "${below}")
                    set(folder ${arg_BELOW}/${below})
                endif()
            endif()
            string(MAKE_C_IDENTIFIER "${folder}" id)
            cmake_path(GET folder FILENAME name_${id})
            list(APPEND folders ${id})
            list(APPEND files_${id} ${file})
        else()
            list(APPEND alone ${source})
        endif()
    endforeach()
    list(REMOVE_DUPLICATES folders)
    set(units "")
    foreach(folder IN LISTS folders)
        list(LENGTH files_${folder} count)
        math(EXPR parts "(${count} + ${tslab_files_in_unit} - 1) / ${tslab_files_in_unit}")
        math(EXPR size "(${count} + ${parts} - 1) / ${parts}")
        if(count EQUAL 1)
            list(APPEND alone ${files_${folder}})
            continue()
        endif()
        set(name ${name_${folder}})
        foreach(part RANGE 1 ${parts})
            math(EXPR begin "(${part} - 1) * ${size}")
            list(SUBLIST files_${folder} ${begin} ${size} files)
            set(unit ${CMAKE_CURRENT_BINARY_DIR}/units/${target}/${name}_${part}.cpp)
            add_custom_command(OUTPUT ${unit}
                COMMAND Python3::Interpreter ${tslab_units} ${unit} ${files}
                DEPENDS ${tslab_units} ${files}
                COMMENT "Writing ${name}/*.cpp of ${target} into a unit"
                VERBATIM)
            list(APPEND units ${unit})
        endforeach()
    endforeach()
    file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/units/${target})
    set_property(TARGET ${target} PROPERTY SOURCES ${alone} ${units})
endfunction()
