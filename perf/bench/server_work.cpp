// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "server_work.hpp"

#include "plan.hpp"

#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {
namespace {

namespace server = request_server;

using file = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

void put(std::FILE* to, std::size_t number) { std::fwrite(&number, sizeof number, 1, to); }

void put(std::FILE* to, std::string_view text)
{
    put(to, text.size());
    std::fwrite(text.data(), 1, text.size(), to);
}

std::size_t get_number(std::FILE* from)
{
    std::size_t number = 0;
    if (std::fread(&number, sizeof number, 1, from) != 1)
        throw std::runtime_error{"the server's requests could not be prepared"};
    return number;
}

std::string get_text(std::FILE* from)
{
    std::string text(get_number(from), '\0');
    if (std::fread(text.data(), 1, text.size(), from) != text.size())
        throw std::runtime_error{"the server's requests could not be prepared"};
    return text;
}

/// "POST /stats HTTP/1.1", header fields, an empty line, the body.
void put_request(std::FILE* to, std::string_view text)
{
    std::size_t const method_end = text.find(' ');
    std::size_t const path_end = text.find(' ', method_end + 1);
    put(to, text.substr(0, method_end));
    put(to, text.substr(method_end + 1, path_end - method_end - 1));
    put(to, text.substr(text.find("\r\n\r\n") + 4));
}

/// In the child. Requests are drawn as often as the demo sends them; those refused before a handler sees them are left out.
void write_work(std::FILE* to, setting const& s)
{
    server::catalog const data = server::load_iso_sets();
    put(to, data.size());
    for (server::data_set const& set : data) {
        put(to, set.name);
        put(to, set.text);
        put(to, set.records);
    }
    std::vector<server::planned_request> plans = server::plan_requests(data);
    std::erase_if(plans, [](server::planned_request const& plan) { return plan.status == 413; });
    std::vector<double> weights;
    for (server::planned_request const& plan : plans)
        weights.push_back(plan.weight);
    random_source random = random_for(s, 0);
    std::discrete_distribution<std::size_t> draw(weights.begin(), weights.end());
    std::size_t const count = s.tiny ? 8 : 512;
    put(to, count);
    for (std::size_t i = 0; i < count; ++i)
        put_request(to, plans[draw(random)].text);
}

server_work read_work(std::FILE* from)
{
    server_work work;
    work.data.resize(get_number(from));
    for (server::data_set& set : work.data) {
        set.name = get_text(from);
        set.text = get_text(from);
        set.records = get_number(from);
    }
    work.requests.resize(get_number(from));
    for (prepared_request& rq : work.requests) {
        std::string const method = get_text(from);
        rq.path = get_text(from);
        rq.body = get_text(from);
        rq.target = &server::find_route(method, rq.path);
    }
    return work;
}

/// Ends the process without the end of anything that it has from its parent.
[[noreturn]] void be_child(std::FILE* to, setting const& s)
{
    try {
        write_work(to, s);
        std::fflush(to);
        _exit(0);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "bench: %s\n", e.what());
        _exit(1);
    }
}

}

server_work prepare_server(setting const& s)
{
    file const between{std::tmpfile(), std::fclose};
    if (between == nullptr)
        throw std::runtime_error{"a temporary file is needed"};
    std::fflush(nullptr);
    pid_t const child = fork();
    if (child < 0)
        throw std::runtime_error{"fork failed"};
    if (child == 0)
        be_child(between.get(), s);
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0)
        throw std::runtime_error{"the server's requests could not be prepared"};
    std::rewind(between.get());
    return read_work(between.get());
}

}
