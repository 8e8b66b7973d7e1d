// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// A deterministic scheduler for tests: of the threads of a run exactly one goes on at a time, and before each access to a
// word that threads share it is decided, from a seed, whose turn it is. The same seed is the same run. Interleavings are
// sequentially consistent: what a processor may reorder beyond that is not seen. Include it after every other header.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>
import tslab.internal;

namespace schedule {

/// What a seed stands for: at every step a thread at random (walk), or priorities with some points of change (PCT: Burckhardt,
/// Kothari, Musuvathi, Nagarakatte, "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010).
struct strategy {
    bool priorities = true;
    unsigned changes = 0;     ///< of priorities, in a run
    unsigned stay = 1;        ///< of a walk: a turn lasts so many steps on average
    bool at_places = false;   ///< turns change at the scenario's places of interest, and nowhere else of themselves
    [[nodiscard]] std::string name() const;
};
/// `has_places`: the scenario has named some.
[[nodiscard]] strategy strategy_of(std::uint64_t seed, bool has_places = false) noexcept;

inline constexpr std::size_t no_thread = ~std::size_t{0};

/// A word at which a change of turns is of interest, and what a story calls it.
struct place {
    void const* word;
    char const* name;
    std::size_t thread;   ///< whose turn it is of interest to end there; any thread's if `no_thread`
};

/// A small generator of good quality (splitmix64), quick to seed.
class random_source {
public:
    explicit random_source(std::uint64_t seed) noexcept : state_{seed} {}
    std::uint64_t operator()() noexcept;
    std::uint64_t below(std::uint64_t n) noexcept { return (*this)() % n; }

private:
    std::uint64_t state_;
};

/// How a run went.
struct outcome {
    std::uint64_t steps = 0;
    std::uint64_t at_places = 0;   ///< of them, those at a place of interest
    std::uint64_t turns = 0;       ///< changes of the thread whose turn it is
    std::uint64_t trace = 0;       ///< a hash of who did what kind of thing in which order
    bool deadlock = false;
    bool endless = false;
    std::string story;   ///< of a deadlock: who waits; of a traced run: every turn
};

/// One run of some threads, from their start to their end, their exit hooks included.
class run final : public tslab::schedule::seam {
public:
    /// `length`: about how many steps the run will have, of those that count; changes are chosen among as many. `places` may
    /// grow while it goes on. `trace`: record the story.
    run(strategy how, std::uint64_t seed, std::uint64_t length, std::vector<place> const& places, bool trace);
    ~run();
    run(run const&) = delete;
    run& operator=(run const&) = delete;

    /// Runs one thread for each body. A run with a deadlock leaves its threads asleep for ever.
    outcome operator()(std::vector<std::function<void()>> bodies);

    void step(void const* word, tslab::schedule::access what) noexcept override;
    void sleep(void const* word) noexcept override;
    void wake(void const* word) noexcept override;
    void pause() noexcept override;

    /// The calling thread has nothing more to do here. For the scheduler's own use.
    void thread_ends() noexcept;

    static constexpr std::uint64_t most_steps = 1'000'000;
    static constexpr std::uint64_t most_pauses = 200;   // more than any wait in tslab for another thread

private:
    enum class state : std::uint8_t { ready, asleep, gone };
    struct gate {
        std::atomic<std::uint32_t> open{0};
        void pass() noexcept;
        void unlock() noexcept;
    };
    struct participant {
        state is = state::ready;
        void const* at = nullptr;   ///< the word it sleeps at
        std::int64_t priority = 0;
        gate turn;
    };

    void give_turn(std::size_t to) noexcept;
    void go_on_with(std::size_t next) noexcept;
    [[nodiscard]] std::size_t choose(bool another) noexcept;
    [[nodiscard]] char const* name_of(void const* word) const noexcept;
    void note(char const* what, char const* where = nullptr);
    void report_deadlock() noexcept;

    strategy how_;
    random_source random_;
    std::vector<place> const& places_;
    std::vector<participant> threads_;
    std::vector<std::uint64_t> changes_;   ///< steps at which the running thread falls behind, last one first
    std::size_t running_ = 0;
    std::int64_t lowest_ = 0;
    bool reconsider_ = false;
    bool hurried_ = false;   ///< who pauses goes on, mostly: others are as slow as can be
    std::uint64_t pauses_ = 0;
    bool trace_;
    gate over_;
    outcome result_;
};

/// What a scenario is made of: threads that run under the scheduler, and what must be true when all of them have ended.
/// Made anew for each run, on the test's own thread.
class scenario {
public:
    virtual ~scenario() = default;
    [[nodiscard]] virtual std::vector<std::function<void()>> threads() = 0;
    virtual void judge() = 0;

    /// Notes something that is wrong, and goes on.
    void expect(bool good, std::string const& what)
    {
        if (!good)
            problems_ += problems_.empty() ? what : "; " + what;
    }
    [[nodiscard]] std::string const& problems() const { return problems_; }
    /// Names a word at which a change of turns is of interest: in every second run they change there only. Where a fault needs
    /// several changes close to each other, there is so much less to choose from.
    void attract(void const* word, char const* name, std::size_t thread = no_thread)
    {
        places_.push_back({word, name, thread});
    }
    [[nodiscard]] std::vector<place> const& places() const { return places_; }
    /// Reports of misuse of that kind since the scenario began.
    [[nodiscard]] static std::uint64_t reports(tslab::misuse kind);
    [[nodiscard]] static std::uint64_t reports();

private:
    std::string problems_;
    std::vector<place> places_;
};

using factory = std::function<std::unique_ptr<scenario>()>;

/// The results of many runs.
struct findings {
    std::uint64_t runs = 0;
    std::uint64_t steps = 0;
    std::uint64_t different = 0;   ///< traces
    std::uint64_t failing_seed = 0;
    bool failed = false;
    bool deadlock = false;
    std::string problem;
};

/// One run of a fresh scenario. `problem`: what was wrong, empty if nothing.
outcome run_once(factory const& make, strategy how, std::uint64_t seed, std::uint64_t length, bool trace,
                 std::string& problem);

/// About how many steps a scenario has, and how many of them at its places.
struct extent {
    std::uint64_t steps = 0;
    std::uint64_t at_places = 0;
};
/// The most there are when its threads run one after the other, in some of the orders.
[[nodiscard]] extent length_of(factory const& make);

/// Runs with one seed after the other until one fails. TSLAB_SCHEDULE_RUNS: how many, instead of `runs`;
/// TSLAB_SCHEDULE_SEED: this one only, printed turn by turn; TSLAB_SCHEDULE_FIRST: the first one.
findings explore(factory const& make, std::uint64_t runs);

}
