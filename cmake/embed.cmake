# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# tslab_embed(<target> ASSETS <path>=<file>...): files become part of a program, found by path; tslab/serve_assets.hpp
# says how. A file is named once for each path, and several files with the same path follow each other in it.
# As a script (cmake -P), it writes the C++ for one path: -DOUT, -DPATH, -DFILES (separated by |), -DSYMBOL.

if(CMAKE_SCRIPT_MODE_FILE)
    string(REPLACE "|" ";" FILES "${FILES}")
    set(bytes "")
    foreach(file IN LISTS FILES)
        file(READ "${file}" hex HEX)
        string(REGEX REPLACE "(..)" "0x\\1," hex "${hex}")
        string(APPEND bytes "${hex}")
    endforeach()
    file(WRITE "${OUT}" "extern unsigned char const ${SYMBOL}[];\nextern unsigned long const ${SYMBOL}_size;\n"
        "unsigned char const ${SYMBOL}[] = {${bytes}0};\n"
        "unsigned long const ${SYMBOL}_size = sizeof ${SYMBOL} - 1;\n")
    return()
endif()

set(tslab_embed_script ${CMAKE_CURRENT_LIST_FILE})

function(tslab_embed target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "ASSETS")
    set(paths "")
    foreach(asset IN LISTS arg_ASSETS)
        string(REGEX MATCH "^([^=]*)=(.*)$" _ "${asset}")
        set(path "${CMAKE_MATCH_1}")
        string(MAKE_C_IDENTIFIER "${path}" id)
        list(APPEND paths "${path}")
        list(APPEND files_${id} "${CMAKE_MATCH_2}")
    endforeach()
    list(REMOVE_DUPLICATES paths)
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/embedded)
    set(declarations "")
    set(rows "")
    set(sources "")
    foreach(path IN LISTS paths)
        string(MAKE_C_IDENTIFIER "${path}" id)
        set(symbol "tslab_asset_${id}")
        string(REPLACE ";" "|" files "${files_${id}}")
        add_custom_command(OUTPUT ${folder}/${id}.cpp
            COMMAND ${CMAKE_COMMAND} -DOUT=${folder}/${id}.cpp -DFILES=${files} -DSYMBOL=${symbol}
                -P ${tslab_embed_script}
            DEPENDS ${files_${id}} ${tslab_embed_script}
            COMMENT "Embedding ${path}"
            VERBATIM)
        list(APPEND sources ${folder}/${id}.cpp)
        string(APPEND declarations "extern unsigned char const ${symbol}[];\nextern unsigned long const ${symbol}_size;\n")
        string(APPEND rows "    if (path == \"${path}\")\n"
            "        return std::string_view{reinterpret_cast<char const*>(${symbol}), ${symbol}_size};\n")
    endforeach()
    file(CONFIGURE OUTPUT ${folder}/assets.cpp @ONLY CONTENT [[#include "tslab/serve_assets.hpp"

@declarations@
std::optional<std::string_view> tslab::tool::asset(std::string_view path)
{
@rows@    return std::nullopt;
}
]])
    list(APPEND sources ${folder}/assets.cpp)
    set_source_files_properties(${sources} PROPERTIES CXX_SCAN_FOR_MODULES OFF SKIP_PRECOMPILE_HEADERS ON)
    target_sources(${target} PRIVATE ${sources})
endfunction()
