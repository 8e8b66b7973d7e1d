# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# CPack runs this when the files of all Debian packages are in place, a folder for each component, before it makes the packages: what
# Debian's policy demands of every package is added to each. cmake/packages.cmake sets the variables CPACK_TSLAB_*.
cmake_minimum_required(VERSION 3.28)
find_program(gzip gzip REQUIRED)

function(compress file)
    execute_process(COMMAND ${gzip} -9nf ${file} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
    string(TOUPPER ${component} upper)
    set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component})
    set(doc ${root}/usr/share/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
    if(NOT IS_DIRECTORY ${root}/usr)
        message(FATAL_ERROR "nothing was installed for the component ${component} in ${root}")
    endif()

    configure_file(${CMAKE_CURRENT_LIST_DIR}/copyright.in ${doc}/copyright @ONLY)
    if(component STREQUAL "tools")
        # What the program contains of others: their copyright files, as licence paragraphs.
        foreach(other IN LISTS CPACK_TSLAB_EMBEDDED_LICENCES)
            cmake_path(GET other PARENT_PATH name)
            cmake_path(GET name FILENAME name)
            file(READ ${other} text)
            if(text MATCHES "Apache License\n +Version 2\\.0")   # an npm package; Debian has the text elsewhere, and does not want it again
                cmake_path(REPLACE_FILENAME other package.json OUTPUT_VARIABLE about)
                file(READ ${about} about)
                string(JSON author GET "${about}" author)
                file(APPEND ${doc}/copyright "\nFiles: ${name}/*\nCopyright: ${author}\nLicense: Apache-2.0\n"
                    "Comment: Parts of ${name} are in /usr/bin/tslab.\n")
                continue()
            endif()
            string(REGEX REPLACE "[ \t]+\n" "\n" text "${text}")
            string(REGEX REPLACE "\n+$" "" text "${text}")
            string(REGEX REPLACE "\n\n" "\n.\n" text "${text}")
            string(REGEX REPLACE "\n\n" "\n.\n" text "${text}")
            string(REPLACE "\n" "\n " text "${text}")
            file(APPEND ${doc}/copyright "\nFiles: ${name}/*\nCopyright: as listed in the licence below\nLicense: ${name}\n"
                "Comment: Parts of ${name} are in /usr/bin/tslab.\n\nLicense: ${name}\n ${text}\n")
        endforeach()
    endif()

    if(EXISTS ${root}/usr/share/zsh/site-functions)   # Debian's zsh looks elsewhere
        file(RENAME ${root}/usr/share/zsh/site-functions ${root}/usr/share/zsh/vendor-completions)
    endif()
    configure_file(${CMAKE_CURRENT_LIST_DIR}/changelog.in ${doc}/changelog.Debian @ONLY)
    file(COPY_FILE ${CPACK_TSLAB_CHANGELOG} ${doc}/changelog)
    compress(${doc}/changelog)
    compress(${doc}/changelog.Debian)
    file(GLOB manual_pages ${root}/usr/share/man/man*/*.[0-9])
    foreach(page IN LISTS manual_pages)
        compress(${page})
    endforeach()
endforeach()
