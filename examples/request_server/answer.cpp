// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "answer.hpp"

#include "json_text.hpp"

import tslab.boost;

namespace request_server {

std::pmr::string answer_text(route const& to, std::string_view target, std::string_view body, catalog const& data,
                             std::pmr::memory_resource* memory)
{
    tslab::boost_resource json_memory{memory};
    query const parameters{target, memory};
    request const rq{parameters, body, data, memory, json::storage_ptr{&json_memory}};
    std::pmr::string answer{memory};
    append_json(answer, to.handle(rq));
    return answer;
}

}
