// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Any request to tslab serve: a line each for the method, the target and the host. It is answered or refused; what is answered
// to a host that is none of ours is nothing.
#include "tslab/serve_site.hpp"
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>
import tslab;

namespace {

using namespace tslab::tool;

class one_heap final : public source {
public:
    std::vector<tslab::snapshot> read(bool residency) override { return {heap_.snapshot({.residency = residency})}; }
    std::vector<tslab::heap_map> maps() override { return {heap_.map()}; }
    std::string const& name() const noexcept override { return name_; }
    bool live() const noexcept override { return true; }

private:
    tslab::allocator heap_{{.name = "fuzzed", .epoch_count = 4}};
    std::string name_ = "fuzzed";
};

}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    static monitor watch{std::make_unique<one_heap>(), {.interval = std::chrono::hours{1}}};
    static site const pages{watch, {.loopback = true, .port = 2112}};
    std::string_view rest{reinterpret_cast<char const*>(data), size};
    auto const line = [&rest] {
        std::string const text{rest.substr(0, rest.find('\n'))};
        rest.remove_prefix(std::min(rest.size(), text.size() + 1));
        return text;
    };
    request r;
    r.method = line();
    r.target = line();
    r.host = line();
    response const answer = pages.handle(r);
    std::string host = r.host;
    std::transform(host.begin(), host.end(), host.begin(),
                   [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
    bool const ours = host.starts_with("localhost") || host.starts_with("127.0.0.1") || host.starts_with("[::1]");
    bool const reads = r.method == "GET" || r.method == "HEAD";
    if (answer.status == 200 && (!ours || !reads))
        std::abort();
    return 0;
}
