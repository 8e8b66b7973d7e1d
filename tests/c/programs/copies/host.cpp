// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A host that uses tslab itself, and opens plug-ins that do, the last one with a copy of its own: host local|global PLUGIN... While all
// heaps live it prints its process id and waits for a line.
#include "work.hpp"
#include <dlfcn.h>
#include <unistd.h>

namespace {

calls open(char const* path, bool global)
{
    void* const opened = dlopen(path, RTLD_NOW | (global ? RTLD_GLOBAL : RTLD_LOCAL));
    if (opened == nullptr) {
        std::puts(dlerror());
        std::exit(2);
    }
    return *static_cast<calls const*>(reinterpret_cast<void const* (*)()>(dlsym(opened, "plugin_calls"))());
}

}

int main(int argc, char** argv)
{
    begin("host");
    work();
    std::vector<calls> plugins;
    for (int i = 2; i < argc; ++i)
        plugins.push_back(open(argv[i], std::string{argv[1]} == "global"));
    for (std::size_t i = 0; i < plugins.size(); ++i)
        plugins[i].begin(("plug-in " + std::to_string(i)).c_str());
    for (calls const& one : plugins) {
        one.work();
        work();
        catch_from(one.refuse);
        one.catch_from(&refuse);
    }
    std::printf("%d\n", static_cast<int>(getpid()));
    std::fflush(stdout);
    CHECK(std::getchar() == '\n');
    for (calls const& one : plugins) {
        one.handle_reports();
        one.misuse();
    }
    handle_reports();
    misuse();
    plugins.back().misuse();   // has a copy of its own, so its handler is still there
    for (calls const& one : plugins)
        failures += one.end();
    if (end() == 0)
        std::puts("all as it should be");
    return failures != 0 ? 1 : 0;
}
