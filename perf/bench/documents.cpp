// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// JSON by Boost.JSON, and the handlers of examples/request_server without its sockets. Both reach the contender through the
// adapter for Boost, for every contender.
#include "pattern.hpp"

#include "data.hpp"
#include "routes.hpp"
#include "server_work.hpp"

#include <algorithm>

import tslab.boost;

namespace bench {
namespace {

namespace server = request_server;

/// Orders as a shop has them: about 100 KB.
std::string make_document(random_source random, std::size_t orders)
{
    std::string text;
    text.reserve(orders * 400);   // growing would leave behind what peers could use again
    text += R"({"shop":"a shop","orders":[)";
    for (std::size_t i = 0; i < orders; ++i) {
        std::string const number = std::to_string(random() % 1'000'000);
        text += i == 0 ? "" : ",";
        text += R"({"id":)" + number + R"(,"customer":{"name":"customer number )" + number + R"(","vip":)" +
                (random() % 2 == 0 ? "true" : "false") + R"(},"price":)" + std::to_string(random() % 1000) +
                R"(.25,"note":")" + std::string(random() % 80, 'n') + R"(","items":[)";
        for (std::size_t items = 1 + random() % 4; items > 0; --items)
            text += R"({"article":"article )" + std::to_string(random() % 10'000) + R"(","count":)" +
                    std::to_string(random() % 9) + (items == 1 ? "}" : "},");
        text += R"(],"tags":["first","second",null]})";
    }
    text += "]}";
    return text;
}

/// Parses a document and writes it out again. An operation is a document's kilobyte.
class json_worker final : public worker {
public:
    json_worker(setting const& s, std::string_view, place& memory, unsigned thread)
        : memory_{memory}, text_{make_document(random_for(s, thread), s.tiny ? 20 : 430)}
    {
    }

    std::uint64_t turn() override
    {
        {
            std::pmr::memory_resource* const resource = opaque(memory_.enter(false));
            tslab::boost_resource adapter{resource};
            server::json::value const document = server::parse_known(text_, server::json::storage_ptr{&adapter});
            std::pmr::string written{resource};
            server::append_json(written, document);
            length_ += written.size();
            asm volatile("" : : "r"(&length_) : "memory");
        }
        memory_.leave();
        return std::max<std::size_t>(text_.size() / 1024, 1);
    }

private:
    place& memory_;
    std::string text_;
    std::size_t length_ = 0;
};

/// What all threads of the server ask for: requests as its demo sends them, as often.
class server_workload final : public workload {
public:
    explicit server_workload(setting const& s) : work_{prepare_server(s)} {}

    std::unique_ptr<worker> join(unsigned thread, place& memory) override
    {
        return std::make_unique<answering>(*this, memory, thread);
    }

private:
    /// An operation is a request.
    class answering final : public worker {
    public:
        answering(server_workload const& all, place& memory, unsigned thread)
            : all_{all}, memory_{memory}, next_{thread * 37}
        {
        }

        std::uint64_t turn() override
        {
            prepared_request const& rq = all_.work_.requests[next_++ % all_.work_.requests.size()];
            {
                std::pmr::memory_resource* const resource = opaque(memory_.enter(false));
                try {
                    length_ += server::answer_text(*rq.target, rq.path, rq.body, all_.work_.data, resource).size();
                } catch (server::http_error const&) {
                    ++refused_;
                }
                asm volatile("" : : "r"(&length_), "r"(&refused_) : "memory");
            }
            memory_.leave();
            return 1;
        }

    private:
        server_workload const& all_;
        place& memory_;
        std::size_t next_;
        std::size_t length_ = 0;
        std::size_t refused_ = 0;
    };

    server_work work_;
};

std::unique_ptr<workload> make_server(setting const& s, std::string_view)
{
    return std::make_unique<server_workload>(s);
}

constexpr pattern patterns[] = {
    {.name = "json",
     .about = "a document of 100 KB parsed and written in a scope",
     .make = make_alike<json_worker>,
     .phases = true,
     .memory = true},
    {.name = "server",
     .about = "the handlers of examples/request_server, a scope each request, without sockets",
     .make = make_server,
     .phases = true,
     .memory = true},
};

}

std::span<pattern const> document_patterns() { return patterns; }

}
