// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// The containers of the standard library on an epoch_resource behind a resource that throws: at the first allocation of an operation,
// the second, until it succeeds. A container that promises it is what it was before; every other is sound; no object is lost, and the
// operation succeeds when it is tried again.
#define BOOST_TEST_MODULE faults_containers
#include <boost/test/unit_test.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <forward_list>
#include <functional>
#include <iterator>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <queue>
#include <set>
#include <stack>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "container.hpp"
#include "recorder.hpp"

using container::contents;
using container::empty;
using container::hashed;
using container::make;
using container::text;
using container::word;

namespace {

/// Passes everything on, and throws at the allocation it is told. Checks that what comes back is what went out.
class throwing final : public std::pmr::memory_resource {
public:
    explicit throwing(std::pmr::memory_resource& upstream) : upstream_{upstream} {}

    void fail_at(std::uint64_t n) { left_ = n; }
    void allow() { left_ = never; }
    [[nodiscard]] std::size_t outstanding() const { return blocks_.size(); }
    [[nodiscard]] std::uint64_t thrown() const { return thrown_; }
    [[nodiscard]] bool sound() const { return sound_; }

private:
    static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

    void* do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        if (left_ != never && left_-- == 0) {
            left_ = never;
            ++thrown_;
            throw std::bad_alloc{};
        }
        void* const p = upstream_.allocate(bytes, alignment);
        sound_ = reinterpret_cast<std::uintptr_t>(p) % alignment == 0 &&
                 blocks_.emplace(p, std::pair{bytes, alignment}).second && sound_;
        return p;
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override
    {
        auto const at = blocks_.find(p);
        sound_ = at != blocks_.end() && at->second == std::pair{bytes, alignment} && sound_;
        if (at != blocks_.end())
            blocks_.erase(at);
        upstream_.deallocate(p, bytes, alignment);
    }
    [[nodiscard]] bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override
    {
        return this == &other;
    }

    std::pmr::memory_resource& upstream_;
    std::map<void*, std::pair<std::size_t, std::size_t>> blocks_;
    std::uint64_t left_ = never;
    std::uint64_t thrown_ = 0;
    bool sound_ = true;
};

enum class guarantee : std::uint8_t { strong, basic };

std::uint64_t operations = 0;
std::uint64_t exceptions = 0;

/// A container on a resource, what fills it, and an operation. Behind an interface, so that the assertions are compiled once and not for
/// each operation: that was most of what this file took to compile.
class subject {
public:
    subject() = default;
    subject(subject const&) = delete;
    subject& operator=(subject const&) = delete;
    virtual ~subject() = default;

    virtual void fill() = 0;
    virtual void operate() = 0;
    virtual void clear() = 0;
    [[nodiscard]] virtual std::vector<std::string> look() const = 0;
    /// Nothing of a container that does not know it.
    [[nodiscard]] virtual std::optional<std::size_t> size() const = 0;
};

template <class C> class subject_of final : public subject {
public:
    using action = std::function<void(C&)>;

    subject_of(std::pmr::memory_resource& r, action const& fill, action const& op)
        : container_(make<C>(r)), fill_{fill}, op_{op}
    {
    }

    void fill() override { fill_(container_); }
    void operate() override { op_(container_); }
    void clear() override { empty(container_); }
    [[nodiscard]] std::vector<std::string> look() const override { return contents(container_); }
    [[nodiscard]] std::optional<std::size_t> size() const override
    {
        if constexpr (requires { container_.size(); })
            return container_.size();
        else
            return std::nullopt;
    }

private:
    C container_;
    action const& fill_;
    action const& op_;
};

using maker = std::function<std::unique_ptr<subject>(std::pmr::memory_resource&)>;

void fail_each_allocation(char const* name, guarantee promised, maker const& made, bool allocates)
{
    std::vector<std::string> before;
    std::vector<std::string> after;
    {
        std::unique_ptr<subject> const c = made(*std::pmr::new_delete_resource());
        c->fill();
        before = c->look();
        c->operate();
        after = c->look();
    }
    ++operations;
    for (bool const shared : {false, true}) {
        support::recorder const seen;
        tslab::allocator heap{{.epoch_count = 8, .reserve_bytes = std::size_t{64} << 20}};
        tslab::epoch_resource inner{heap, {.label = "containers", .share_epoch = shared}};
        throwing r{inner};
        std::uint64_t n = 0;
        for (bool threw = true; threw; ++n) {
            BOOST_TEST_CONTEXT(name << ", allocation " << n)
            {
                threw = false;
                {
                    std::unique_ptr<subject> const c = made(r);
                    c->fill();
                    r.fail_at(n);
                    try {
                        c->operate();
                    } catch (std::bad_alloc const&) {
                        threw = true;
                    }
                    r.allow();
                    if (!threw) {
                        BOOST_TEST((c->look() == after));
                    } else {
                        ++exceptions;
                        auto const now = c->look();
                        BOOST_TEST(now.size() == c->size().value_or(now.size()));
                        if (promised == guarantee::strong) {
                            BOOST_TEST((now == before));
                            c->operate();
                            BOOST_TEST((c->look() == after));
                        }
                        c->clear();
                        c->fill();
                        c->operate();
                        BOOST_TEST((c->look() == after));
                    }
                }
                BOOST_TEST(r.outstanding() == 0U);
                BOOST_TEST(heap.snapshot({.residency = false}).global.live_objects == 0U);
            }
        }
        BOOST_TEST((r.thrown() != 0) == allocates, name);
        BOOST_TEST(r.sound(), name);
        BOOST_TEST(seen.count() == 0U);
    }
}

/// Fails every allocation of `op` on a container that `fill` filled, one after the other.
template <class C>
void fail_each(char const* name, guarantee promised, std::function<void(C&)> const& fill,
               std::function<void(C&)> const& op, bool allocates = true)
{
    fail_each_allocation(
        name, promised, [&](std::pmr::memory_resource& r) { return std::make_unique<subject_of<C>>(r, fill, op); },
        allocates);
}

template <class C> void some_words(C& c)
{
    for (int i = 0; i < 20; ++i)
        c.emplace_back(word(i).c_str());
}
template <class C> void some_keys(C& c)
{
    for (int i = 0; i < 20; ++i)
        c.emplace(word(i).c_str());
}
template <class C> void some_pairs(C& c)
{
    for (int i = 0; i < 20; ++i)
        c.emplace(word(i).c_str(), word(i + 1).c_str());
}

std::array const further{"one that comes from elsewhere and is long", "another one from elsewhere, also long",
                         "a third one that has to be allocated too"};

/// What every sequence of words can do. The standard promises strong for one element at an end, and for no other insertion.
template <class C> void sequence(char const* name)
{
    auto const label = [name](char const* what) {
        static std::deque<std::string> names;
        return names.emplace_back(std::string{name} + ' ' + what).c_str();
    };
    auto const none = [](C&) {};
    auto const fill = [](C& c) { some_words(c); };
    fail_each<C>(label("emplace_back"), guarantee::strong, fill, [](C& c) { c.emplace_back(further[0]); });
    fail_each<C>(label("emplace_back, many"), guarantee::basic, none, fill);
    fail_each<C>(label("insert in the middle"), guarantee::basic, fill,
                 [](C& c) { c.emplace(std::next(c.begin(), 7), further[0]); });
    fail_each<C>(label("insert a range"), guarantee::basic, fill,
                 [](C& c) { c.insert(std::next(c.begin(), 3), further.begin(), further.end()); });
    fail_each<C>(label("assign"), guarantee::basic, fill, [](C& c) { c.assign(30, text(100, 'g')); });
    fail_each<C>(label("resize"), guarantee::strong, fill, [](C& c) {
        text const value{further[0]};
        c.resize(25, value);
    });
    fail_each<C>(label("copy construction"), guarantee::strong, fill, [](C& c) {
        C const copy{c, c.get_allocator()};
        BOOST_TEST((contents(copy) == contents(c)));
    });
    fail_each<C>(label("copy assignment"), guarantee::basic, fill, [](C& c) {
        C other{c.get_allocator()};
        other.assign(further.begin(), further.end());
        c = other;
    });
    fail_each<C>(label("move between resources"), guarantee::strong, none, [](C& c) {
        C other{std::pmr::new_delete_resource()};
        some_words(other);
        C moved{std::move(other), c.get_allocator()};
        c.swap(moved);
    });
    fail_each<C>(
        label("swap and erase"), guarantee::strong, fill,
        [](C& c) {
            C other{c.get_allocator()};
            other.swap(c);
            other.erase(other.begin());
            c.swap(other);
        },
        std::is_same_v<C, std::pmr::deque<text>>);   // an empty deque has memory
}

template <class C, class Fill, class Again> void associative(char const* name, Fill fill, Again again)
{
    auto const label = [name](char const* what) {
        static std::deque<std::string> names;
        return names.emplace_back(std::string{name} + ' ' + what).c_str();
    };
    auto const none = [](C&) {};
    fail_each<C>(label("emplace"), guarantee::strong, fill, [again](C& c) { again(c, further[0]); });
    fail_each<C>(label("emplace, many"), guarantee::basic, none, fill);
    fail_each<C>(label("copy construction"), guarantee::strong, fill, [](C& c) {
        C const copy{c, c.get_allocator()};
        BOOST_TEST((contents(copy) == contents(c)));
    });
    fail_each<C>(label("copy assignment"), guarantee::basic, fill, [again](C& c) {
        C other{c.get_allocator()};
        again(other, further[0]);
        again(other, further[1]);
        c = other;
    });
    fail_each<C>(label("move between resources"), guarantee::strong, none, [fill](C& c) {
        C other{std::pmr::polymorphic_allocator<>{std::pmr::new_delete_resource()}};
        fill(other);
        C moved{std::move(other), c.get_allocator()};
        c.swap(moved);
    });
    fail_each<C>(label("merge and extract"), guarantee::basic, fill, [again](C& c) {
        C other{c.get_allocator()};
        again(other, further[0]);
        c.merge(other);
        auto node = c.extract(c.begin());
        c.insert(std::move(node));
    });
    if constexpr (hashed<C>)
        fail_each<C>(label("rehash"), guarantee::strong, fill, [](C& c) { c.rehash(1000); });
}

auto const add_key = [](auto& c, char const* k) { c.emplace(k); };
auto const add_pair = [](auto& c, char const* k) { c.emplace(k, further[2]); };
auto const keys = [](auto& c) { some_keys(c); };
auto const pairs = [](auto& c) { some_pairs(c); };

struct hash_of {
    std::size_t operator()(text const& t) const { return std::hash<text>{}(t); }
};

}

BOOST_AUTO_TEST_CASE(sequences)
{
    sequence<std::pmr::vector<text>>("vector");
    sequence<std::pmr::deque<text>>("deque");
    sequence<std::pmr::list<text>>("list");
    using vector = std::pmr::vector<text>;
    fail_each<vector>(
        "vector reserve", guarantee::strong, [](vector& v) { some_words(v); },
        [](vector& v) { v.reserve(v.capacity() + 100); });
    fail_each<vector>(
        "vector shrink_to_fit", guarantee::strong,
        [](vector& v) {
            some_words(v);
            v.pop_back();
        },
        [](vector& v) { v.shrink_to_fit(); });   // it may fail, and does not say so
    using deque = std::pmr::deque<text>;
    fail_each<deque>(
        "deque emplace_front", guarantee::strong, [](deque& d) { some_words(d); },
        [](deque& d) { d.emplace_front(further[0]); });
    using list = std::pmr::list<text>;
    fail_each<list>(
        "list splice and sort", guarantee::basic, [](list& l) { some_words(l); },
        [](list& l) {
            list other{l.get_allocator()};
            some_words(other);
            l.splice(l.begin(), other);
            l.sort();
            l.unique();
        });
    using forward = std::pmr::forward_list<text>;
    auto const fill = [](forward& f) {
        for (int i = 0; i < 20; ++i)
            f.emplace_front(word(i).c_str());
    };
    fail_each<forward>("forward_list emplace_front", guarantee::strong, fill,
                       [](forward& f) { f.emplace_front(further[0]); });
    fail_each<forward>("forward_list insert_after a range", guarantee::strong, fill,
                       [](forward& f) { f.insert_after(f.begin(), further.begin(), further.end()); });
    fail_each<forward>("forward_list resize", guarantee::basic, fill, [](forward& f) { f.resize(30, text{"x"}); });
}

BOOST_AUTO_TEST_CASE(strings)
{
    auto const fill = [](text& t) { t.assign(100, 'a'); };
    fail_each<text>("string append", guarantee::strong, fill, [](text& t) { t.append(1000, 'b'); });
    fail_each<text>("string push_back, many", guarantee::basic, fill, [](text& t) {
        for (int i = 0; i < 3000; ++i)
            t.push_back('c');
    });
    fail_each<text>("string insert", guarantee::strong, fill, [](text& t) { t.insert(50, std::string(500, 'd')); });
    fail_each<text>("string replace", guarantee::strong, fill, [](text& t) { t.replace(5, 3, std::string(400, 'e')); });
    fail_each<text>("string assign", guarantee::strong, fill, [](text& t) { t.assign(std::string(400, 'f')); });
    fail_each<text>("string reserve", guarantee::strong, fill, [](text& t) { t.reserve(5000); });
    fail_each<text>("string copy", guarantee::strong, fill, [](text& t) {
        text const copy{t, t.get_allocator()};
        t = copy;
    });
}

BOOST_AUTO_TEST_CASE(ordered)
{
    associative<std::pmr::set<text>>("set", keys, add_key);
    associative<std::pmr::multiset<text>>("multiset", keys, add_key);
    associative<std::pmr::map<text, text>>("map", pairs, add_pair);
    associative<std::pmr::multimap<text, text>>("multimap", pairs, add_pair);
    using map = std::pmr::map<text, text>;
    fail_each<map>(
        "map operator[]", guarantee::strong, [](map& m) { some_pairs(m); },
        [](map& m) { static_cast<void>(m[text{further[0]}]); });
    fail_each<map>(
        "map insert_or_assign", guarantee::basic, [](map& m) { some_pairs(m); },
        [](map& m) { m.insert_or_assign(m.begin()->first, std::string(200, 'z')); });
}

BOOST_AUTO_TEST_CASE(hashed_ones)
{
    associative<std::pmr::unordered_set<text, hash_of>>("unordered_set", keys, add_key);
    associative<std::pmr::unordered_multiset<text, hash_of>>("unordered_multiset", keys, add_key);
    associative<std::pmr::unordered_map<text, text, hash_of>>("unordered_map", pairs, add_pair);
    associative<std::pmr::unordered_multimap<text, text, hash_of>>("unordered_multimap", pairs, add_pair);
}

BOOST_AUTO_TEST_CASE(adaptors_and_nested_ones)
{
    using queue = std::priority_queue<int, std::pmr::vector<int>>;
    fail_each<queue>(
        "priority_queue", guarantee::strong,
        [](queue& q) {
            for (int i = 0; i < 16; ++i)
                q.push(i * 7 % 16);
        },
        [](queue& q) { q.push(8); });
    using stack = std::stack<int, std::pmr::deque<int>>;
    fail_each<stack>(
        "stack", guarantee::basic, [](stack& s) { s.push(1); },
        [](stack& s) {
            for (int i = 0; i < 1000; ++i)
                s.push(i);
        });
    using nested = std::pmr::vector<std::pmr::vector<text>>;
    fail_each<nested>(
        "vector of vectors", guarantee::basic, [](nested&) {},
        [](nested& v) {
            for (int i = 0; i < 6; ++i)
                some_words(v.emplace_back());
        });
    fail_each<nested>(
        "vector of vectors emplace_back", guarantee::strong,
        [](nested& v) {
            for (int i = 0; i < 4; ++i)
                some_words(v.emplace_back());
        },
        [](nested& v) { v.emplace_back(std::size_t{5}, text{further[0], v.get_allocator()}); });
    std::printf("%llu operations, %llu exceptions survived\n", static_cast<unsigned long long>(operations),
                static_cast<unsigned long long>(exceptions));
}
