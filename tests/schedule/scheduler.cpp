// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <linux/futex.h>
#include <memory>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <unordered_set>
#include <utility>
#include <vector>

#include "scheduler.hpp"

namespace schedule {

namespace {

/// What a thread's last hook needs to know.
struct thread_of_run {
    run* of = nullptr;
    bool once = false;   // the hook has been called before
};

constinit thread_local thread_of_run this_one{};
pthread_key_t end_key;

/// Keys' destructors run in rounds, and tslab's is one of the first round. So the end of a thread is the second call of this.
void on_thread_exit(void*)
{
    if (!std::exchange(this_one.once, true)) {
        ::pthread_setspecific(end_key, &this_one);
        return;
    }
    this_one.of->thread_ends();
}

void make_end_key()
{
    static bool const made = ::pthread_key_create(&end_key, on_thread_exit) == 0;
    if (!made)
        std::abort();
}

/// One processor for all: a change of turns is then a switch between two threads on it, and nothing else can ever run.
void stay_on_one_processor()
{
    static bool const done = [] {
        cpu_set_t one;
        CPU_ZERO(&one);
        int const here = ::sched_getcpu();
        if (here >= 0) {
            CPU_SET(static_cast<unsigned>(here), &one);
            ::sched_setaffinity(0, sizeof(one), &one);
        }
        return true;
    }();
    static_cast<void>(done);
}

std::array<std::atomic<std::uint64_t>, tslab::misuse_count> reported{};

void count_report(tslab::misuse_report const& r) { reported[static_cast<std::size_t>(r.kind)].fetch_add(1); }

// What is published when the program dies in a run.
constinit std::atomic<std::uint64_t> seed_now{0};
constinit std::atomic<bool> dying{false};

extern "C" void report_seed(int signal)
{
    if (!dying.exchange(true)) {
        std::array<char, 128> line{};
        int const n =
            std::snprintf(line.data(), line.size(), "schedule: signal %d in the run with TSLAB_SCHEDULE_SEED=%llu\n",
                          signal, static_cast<unsigned long long>(seed_now.load()));
        static_cast<void>(!::write(STDERR_FILENO, line.data(), static_cast<std::size_t>(n)));
    }
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

/// The handlers of a test program know nothing of other threads, so they are replaced for the time of the runs.
class signals_tell_seed {
public:
    signals_tell_seed()
    {
        for (std::size_t i = 0; i < kinds.size(); ++i) {
            struct sigaction mine{};
            mine.sa_handler = report_seed;
            ::sigaction(kinds[i], &mine, &before_[i]);
        }
    }
    ~signals_tell_seed()
    {
        for (std::size_t i = 0; i < kinds.size(); ++i)
            ::sigaction(kinds[i], &before_[i], nullptr);
    }
    signals_tell_seed(signals_tell_seed const&) = delete;
    signals_tell_seed& operator=(signals_tell_seed const&) = delete;

private:
    static constexpr std::array kinds{SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    std::array<struct sigaction, kinds.size()> before_{};
};

std::uint64_t number_in(char const* name, std::uint64_t otherwise)
{
    char const* const text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

}

std::string strategy::name() const
{
    std::string const of = at_places ? " at places" : "";
    if (priorities)
        return "priorities, " + std::to_string(changes) + " changes" + of;
    return (stay == 1 ? "walk" : "walk, turns of " + std::to_string(stay)) + of;
}

strategy strategy_of(std::uint64_t seed, bool has_places) noexcept
{
    bool const at_places = has_places && seed / 8 % 2 != 0;
    switch (seed % 8) {
    case 0: return {.priorities = false, .stay = 1, .at_places = at_places};
    case 1: return {.priorities = false, .stay = 8, .at_places = at_places};
    case 2: return {.priorities = true, .changes = 1, .at_places = at_places};
    case 3:
    case 4: return {.priorities = true, .changes = 2, .at_places = at_places};
    case 5:
    case 6: return {.priorities = true, .changes = 3, .at_places = at_places};
    default: return {.priorities = true, .changes = 5, .at_places = at_places};
    }
}

std::uint64_t random_source::operator()() noexcept
{
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

void run::gate::pass() noexcept
{
    while (open.exchange(0, std::memory_order_acquire) == 0)
        ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&open), FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
}

void run::gate::unlock() noexcept
{
    open.store(1, std::memory_order_release);
    ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&open), FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

run::run(strategy how, std::uint64_t seed, std::uint64_t length, std::vector<place> const& places, bool trace)
    : how_{how}, random_{seed}, places_{places}, trace_{trace}
{
    hurried_ = random_.below(4) == 0 && (how_.changes != 0 || !how_.priorities);   // not when a run is to be measured
    if (how_.priorities)
        for (unsigned i = 0; i < how_.changes; ++i)
            changes_.push_back(1 + random_.below(std::max<std::uint64_t>(length, 1)));
    std::sort(changes_.rbegin(), changes_.rend());
}

run::~run() = default;

outcome run::operator()(std::vector<std::function<void()>> bodies)
{
    make_end_key();
    stay_on_one_processor();
    std::size_t const n = bodies.size();
    threads_ = std::vector<participant>(n);
    // Distinct priorities above those that a change or a pause gives.
    for (std::size_t i = 0; i < n; ++i) {
        threads_[i].priority = static_cast<std::int64_t>(1 + i);
        std::swap(threads_[i].priority, threads_[random_.below(i + 1)].priority);
    }
    auto const work = std::make_shared<std::vector<std::function<void()>>>(std::move(bodies));
    std::vector<std::thread> all;
    for (std::size_t i = 0; i < n; ++i)
        all.emplace_back([this, work, i] {
            this_one = {this, false};
            ::pthread_setspecific(end_key, &this_one);
            threads_[i].turn.pass();
            tslab::schedule::of_this_thread = this;
            (*work)[i]();
        });
    give_turn(choose(false));
    over_.pass();
    if (result_.deadlock || result_.endless)
        for (std::thread& t : all)
            t.detach();
    else
        for (std::thread& t : all)
            t.join();
    return result_;
}

/// The thread whose turn it is next; `no_thread` when all are asleep or gone. `another`: not the running one if possible.
std::size_t run::choose(bool another) noexcept
{
    std::size_t chosen = no_thread;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        participant const& t = threads_[i];
        if (t.is != state::ready || (another && i == running_))
            continue;
        ++seen;
        if (chosen == no_thread ||
            (how_.priorities ? t.priority > threads_[chosen].priority : random_.below(seen) == 0))
            chosen = i;
    }
    if (chosen == no_thread && another && threads_[running_].is == state::ready)
        return running_;
    return chosen;
}

void run::give_turn(std::size_t to) noexcept
{
    running_ = to;
    threads_[to].turn.unlock();
}

void run::go_on_with(std::size_t next) noexcept
{
    std::size_t const me = running_;
    if (next == me)
        return;
    ++result_.turns;
    give_turn(next);
    threads_[me].turn.pass();
}

char const* run::name_of(void const* word) const noexcept
{
    for (place const& p : places_)
        if (p.word == word && (p.thread == no_thread || p.thread == running_))
            return p.name;
    return nullptr;
}

void run::note(char const* what, char const* where)
{
    constexpr std::size_t most = 20'000;
    if (trace_ && result_.story.size() < most)
        result_.story += "  step " + std::to_string(result_.steps) + ": thread " + std::to_string(running_) + " " +
                         what + (where != nullptr ? where : "") + "\n";
}

namespace {

char const* put_off_before(tslab::schedule::access what) noexcept
{
    switch (what) {
    case tslab::schedule::access::load: return "is put off before a load of ";
    case tslab::schedule::access::store: return "is put off before a store to ";
    case tslab::schedule::access::change: return "is put off before a change of ";
    case tslab::schedule::access::barrier: break;
    }
    return "is put off at a barrier";
}

}

void run::step(void const* word, tslab::schedule::access what) noexcept
{
    std::size_t const me = running_;
    char const* const here = name_of(word);
    result_.at_places += here != nullptr ? 1 : 0;
    if (++result_.steps > most_steps) {
        result_.endless = true;
        over_.unlock();
        threads_[me].turn.pass();   // for ever
    }
    bool const counts = !how_.at_places || here != nullptr;
    bool ask = !how_.priorities && counts && (how_.stay == 1 || random_.below(how_.stay) == 0);
    if (how_.priorities) {
        ask = std::exchange(reconsider_, false);
        std::uint64_t const now = how_.at_places ? result_.at_places : result_.steps;
        while (!changes_.empty() && changes_.back() <= now) {
            threads_[me].priority = --lowest_;
            changes_.pop_back();
            ask = true;
        }
    }
    if (ask) {
        std::size_t const next = choose(false);
        if (next != me) {
            here != nullptr ? note(put_off_before(what), here) : note("is put off");
            go_on_with(next);
            note("goes on");
        }
    }
    result_.trace = (result_.trace ^ (me << 2 | static_cast<std::size_t>(what))) * 0x100000001b3U;
}

void run::report_deadlock() noexcept
{
    result_.deadlock = true;
    for (std::size_t i = 0; i < threads_.size(); ++i)
        if (threads_[i].is == state::asleep)
            result_.story += "  thread " + std::to_string(i) + " waits for a lock for ever\n";
    over_.unlock();
}

void run::sleep(void const* word) noexcept
{
    std::size_t const me = running_;
    threads_[me].is = state::asleep;
    threads_[me].at = word;
    note("waits for a lock");
    std::size_t const next = choose(false);
    if (next == no_thread) {
        report_deadlock();
        threads_[me].turn.pass();   // for ever
    }
    go_on_with(next);
}

void run::wake(void const* word) noexcept
{
    std::uint64_t seen = 0;
    std::size_t chosen = no_thread;
    for (std::size_t i = 0; i < threads_.size(); ++i)
        if (threads_[i].is == state::asleep && threads_[i].at == word && random_.below(++seen) == 0)
            chosen = i;
    if (chosen == no_thread)
        return;
    threads_[chosen].is = state::ready;
    reconsider_ = true;
}

void run::pause() noexcept
{
    if (hurried_ && ++pauses_ % most_pauses != 0)
        return step(nullptr, tslab::schedule::access::barrier);
    threads_[running_].priority = --lowest_;
    note("pauses");
    go_on_with(choose(true));
}

void run::thread_ends() noexcept
{
    tslab::schedule::of_this_thread = nullptr;
    threads_[running_].is = state::gone;
    note("has ended");
    std::size_t const next = choose(false);
    if (next != no_thread) {
        give_turn(next);
        return;
    }
    for (participant const& t : threads_)
        if (t.is == state::asleep)
            return report_deadlock();
    over_.unlock();
}

std::uint64_t scenario::reports(tslab::misuse kind) { return reported[static_cast<std::size_t>(kind)].load(); }

std::uint64_t scenario::reports()
{
    std::uint64_t n = 0;
    for (auto const& of_kind : reported)
        n += of_kind.load();
    return n;
}

outcome run_once(factory const& make, strategy how, std::uint64_t seed, std::uint64_t length, bool trace,
                 std::string& problem)
{
    seed_now.store(seed);
    for (auto& of_kind : reported)
        of_kind.store(0);
    auto const before = tslab::set_error_handler(count_report);
    auto one = make();
    auto threads = std::make_unique<run>(how, seed, length, one->places(), trace);
    outcome const result = (*threads)(one->threads());
    if (result.deadlock || result.endless) {
        problem = result.deadlock ? "a deadlock" : "no end after so many steps";
        static_cast<void>(threads.release());   // its threads are asleep in it, for ever
        static_cast<void>(one.release());
    } else {
        one->judge();
        problem = one->problems();
        one.reset();
    }
    tslab::set_error_handler(before);
    return result;
}

extent length_of(factory const& make)
{
    constexpr std::uint64_t orders = 8;
    extent most;
    for (std::uint64_t seed = 0; seed < orders; ++seed) {
        std::string problem;
        outcome const one = run_once(make, {.priorities = true, .changes = 0}, seed, 0, false, problem);
        most = {std::max(most.steps, one.steps), std::max(most.at_places, one.at_places)};
    }
    return most;
}

findings explore(factory const& make, std::uint64_t runs)
{
    signals_tell_seed const telling;
    findings found;
    extent const length = length_of(make);
    std::uint64_t const only = number_in("TSLAB_SCHEDULE_SEED", 0);
    std::uint64_t const first = only != 0 ? only : number_in("TSLAB_SCHEDULE_FIRST", 1);
    std::uint64_t const count = only != 0 ? 1 : number_in("TSLAB_SCHEDULE_RUNS", runs);
    std::unordered_set<std::uint64_t> traces;
    for (std::uint64_t seed = first; seed != first + count && !found.failed; ++seed) {
        std::string problem;
        strategy const how = strategy_of(seed, length.at_places != 0);
        outcome const result =
            run_once(make, how, seed, how.at_places ? length.at_places : length.steps, only != 0, problem);
        ++found.runs;
        found.steps += result.steps;
        traces.insert(result.trace);
        if (only != 0)
            std::printf("seed %llu (%s), %llu steps:\n%s", static_cast<unsigned long long>(seed), how.name().c_str(),
                        static_cast<unsigned long long>(result.steps), result.story.c_str());
        if (problem.empty())
            continue;
        found.failed = true;
        found.failing_seed = seed;
        found.deadlock = result.deadlock || result.endless;
        found.problem = problem + "; run " + std::to_string(found.runs) + ", " + how.name() +
                        "; once more with TSLAB_SCHEDULE_SEED=" + std::to_string(seed) + "\n" + result.story;
    }
    found.different = traces.size();
    return found;
}

}
