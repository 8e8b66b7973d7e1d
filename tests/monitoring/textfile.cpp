// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The textfile is replaced as a whole or not at all, and nothing is left beside it.
#define BOOST_TEST_MODULE textfile
#include <boost/test/unit_test.hpp>

#include "tslab/command.hpp"
#include "tslab/textfile.hpp"
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/resource.h>

namespace fs = std::filesystem;
using tslab::tool::replace_file;

namespace {

struct directory {
    fs::path path = [] {
        std::string name = (fs::temp_directory_path() / "tslab-textfile-XXXXXX").string();
        BOOST_REQUIRE(mkdtemp(name.data()) != nullptr);
        return fs::path{name};
    }();
    ~directory() { fs::remove_all(path); }

    [[nodiscard]] std::string text() const
    {
        std::ifstream in{path / "tslab.prom"};
        return {std::istreambuf_iterator<char>{in}, {}};
    }
    [[nodiscard]] std::ptrdiff_t files() const { return std::distance(fs::directory_iterator{path}, {}); }
};

/// Writing beyond so many bytes fails, as on a full disk.
class file_limit {
public:
    explicit file_limit(rlim_t bytes)
    {
        getrlimit(RLIMIT_FSIZE, &before_);
        rlimit now = before_;
        now.rlim_cur = bytes;
        setrlimit(RLIMIT_FSIZE, &now);
        handler_ = std::signal(SIGXFSZ, SIG_IGN);
    }
    ~file_limit()
    {
        setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }
    file_limit(file_limit const&) = delete;
    file_limit& operator=(file_limit const&) = delete;

private:
    rlimit before_{};
    void (*handler_)(int);
};

bool is_usage(tslab::tool::failure const& f) { return f.code() == tslab::tool::outcome::usage; }

}

BOOST_AUTO_TEST_CASE(replaces_the_file_for_everybody_to_read)
{
    directory const d;
    replace_file(d.path.string(), "tslab.prom", "one\n");
    replace_file(d.path.string(), "tslab.prom", "two\n");
    BOOST_TEST(d.text() == "two\n");
    BOOST_TEST(d.files() == 1);
    BOOST_TEST((fs::status(d.path / "tslab.prom").permissions() == static_cast<fs::perms>(0644)));
}

BOOST_AUTO_TEST_CASE(a_full_disk_leaves_the_old_file_and_nothing_else)
{
    directory const d;
    replace_file(d.path.string(), "tslab.prom", "old\n");
    {
        file_limit const full{4096};
        BOOST_CHECK_EXCEPTION(replace_file(d.path.string(), "tslab.prom", std::string(10'000, 'x')),
                              tslab::tool::failure, is_usage);
    }
    BOOST_TEST(d.text() == "old\n");
    BOOST_TEST(d.files() == 1);
}

BOOST_AUTO_TEST_CASE(says_what_it_cannot_write)
{
    directory const d;
    fs::create_directory(d.path / "tslab.prom");   // in the way of the rename
    std::ofstream{d.path / "tslab.prom" / "full"} << "x";
    BOOST_CHECK_EXCEPTION(
        replace_file(d.path.string(), "tslab.prom", "new"), tslab::tool::failure, [&](tslab::tool::failure const& f) {
            return is_usage(f) && std::string{f.what()}.find((d.path / "tslab.prom").string()) != std::string::npos;
        });
    BOOST_TEST(d.files() == 1);
    BOOST_CHECK_EXCEPTION(replace_file((d.path / "absent").string(), "tslab.prom", "new"), tslab::tool::failure,
                          is_usage);
}
