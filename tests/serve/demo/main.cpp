// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The page with something to show, for browser.py and for who changes the page: the server of `tslab serve` over a heap of
// its own. Prints its address; standard input says what happens: "leak LABEL", "gone", "back", "quit".
#include "demo_source.hpp"
#include "tslab/record.hpp"
#include "tslab/serve_http.hpp"
#include "tslab/serve_monitor.hpp"
#include "tslab/serve_site.hpp"
#include <iostream>

int main(int argc, char** argv)
{
    using namespace tslab::tool;
    if (argc == 5 && std::string{argv[1]} == "record") {   // record FILE SAMPLES LABEL
        demo::load load;
        demo::source from{load};
        load.forget(argv[4]);
        auto const done =
            record(from, argv[2], {.interval = std::chrono::milliseconds{250}, .count = std::stoull(argv[3])});
        return done.samples == std::stoull(argv[3]) ? 0 : 1;
    }
    demo::load load;
    auto from = std::make_unique<demo::source>(load);
    demo::source& target = *from;
    monitor watch{std::move(from),
                  {.interval = std::chrono::milliseconds{500},
                   .leaks = {.seconds = 2, .long_lived = {"session cache", "catalogue"}}}};
    http_server server{"127.0.0.1", 0};
    site const pages{watch, {.loopback = true, .port = server.port()}};
    watch.start();
    std::jthread const serving{[&] { server.run([&](request const& r) { return pages.handle(r); }); }};
    std::cout << server.url() << '/' << std::endl;
    for (std::string word; std::cin >> word && word != "quit";) {
        if (word == "leak") {
            std::getline(std::cin >> std::ws, word);
            load.forget(word);
        } else if (word == "gone" || word == "back")
            target.gone() = word == "gone";
    }
    server.stop();
    return 0;
}
