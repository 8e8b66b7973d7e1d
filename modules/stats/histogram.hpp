// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Durations counted by powers of two, a distribution in a few words of memory; and the record that sampling keeps of
// one kind of event.
#pragma once

export namespace tslab {

/// Counts of durations in nanoseconds. Bucket 0 holds 0; bucket b holds [2^(b-1), 2^b); the last bucket holds all
/// above.
struct log2_histogram {
    static constexpr std::size_t bucket_count = 40;   ///< the last begins at 2^38 ns, 4.6 minutes

    std::array<std::uint64_t, bucket_count> buckets{};   ///< how many durations each holds

    /// The bucket that holds a duration of `ns`.
    [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t ns) noexcept
    {
        return std::min(static_cast<std::size_t>(std::bit_width(ns)), bucket_count - 1);
    }
    /// The largest duration of a bucket.
    [[nodiscard]] static constexpr std::uint64_t upper_bound(std::size_t bucket) noexcept
    {
        return (std::uint64_t{1} << bucket) - 1;
    }
    /// How many durations all buckets hold.
    [[nodiscard]] constexpr std::uint64_t total() const noexcept
    {
        std::uint64_t n = 0;
        for (std::uint64_t const b : buckets)
            n += b;
        return n;
    }
    /// An upper bound of the quantile `q` (0 to 1) of the durations: the upper bound of the bucket that contains it, so
    /// at most twice the true value. 0 if nothing was counted.
    [[nodiscard]] constexpr std::uint64_t quantile(double q) const noexcept
    {
        double const wanted = q * static_cast<double>(total());
        double seen = 0;
        for (std::size_t b = 0; b < bucket_count; ++b) {
            seen += static_cast<double>(buckets[b]);
            if (seen > 0 && seen >= wanted)
                return upper_bound(b);
        }
        return 0;
    }
    /// Adds the counts of another histogram.
    constexpr void add(log2_histogram const& other) noexcept
    {
        for (std::size_t b = 0; b < bucket_count; ++b)
            buckets[b] += other.buckets[b];
    }

    friend bool operator==(log2_histogram const&, log2_histogram const&) = default;
};

/// A log2_histogram that one thread advances and every thread may read.
class histogram_counters {
public:
    inline void note(std::uint64_t ns) noexcept { buckets_[log2_histogram::bucket_of(ns)].add(); }
    inline void add_to(log2_histogram& to) const noexcept
    {
        for (std::size_t b = 0; b < log2_histogram::bucket_count; ++b)
            to.buckets[b] += buckets_[b].value();
    }

private:
    std::array<counter, log2_histogram::bucket_count> buckets_;
};

/// Wall clock and processor time of timed events, and their difference: the time the thread waited for a processor or a
/// lock.
struct timing_stats {
    std::uint64_t samples = 0;   ///< events that were timed
    std::uint64_t wall_ns_sum = 0;
    std::uint64_t cpu_ns_sum = 0;
    std::uint64_t wait_ns_sum = 0;   ///< wall - cpu of each, never below 0
    std::uint64_t wall_ns_max = 0;
    std::uint64_t cpu_ns_max = 0;
    std::uint64_t wait_ns_max = 0;
    log2_histogram wall{};
    log2_histogram wait{};

    /// Adds the events of other statistics.
    void add(timing_stats const& other) noexcept
    {
        samples += other.samples;
        wall_ns_sum += other.wall_ns_sum;
        cpu_ns_sum += other.cpu_ns_sum;
        wait_ns_sum += other.wait_ns_sum;
        wall_ns_max = std::max(wall_ns_max, other.wall_ns_max);
        cpu_ns_max = std::max(cpu_ns_max, other.cpu_ns_max);
        wait_ns_max = std::max(wait_ns_max, other.wait_ns_max);
        wall.add(other.wall);
        wait.add(other.wait);
    }

    friend bool operator==(timing_stats const&, timing_stats const&) = default;
};

/// timing_stats that one thread advances and every thread may read.
class timing_counters {
public:
    void note(stopwatch::reading const& r) noexcept { note(r.wall_ns, r.cpu_ns); }
    void note(std::uint64_t wall_ns, std::uint64_t cpu_ns) noexcept
    {
        std::uint64_t const wait_ns = wall_ns > cpu_ns ? wall_ns - cpu_ns : 0;   // the clocks differ a little
        samples_.add();
        wall_sum_.add(wall_ns);
        cpu_sum_.add(cpu_ns);
        wait_sum_.add(wait_ns);
        for (maxima* const m : {&all_, &latest_}) {
            m->wall.raise(wall_ns);
            m->cpu.raise(cpu_ns);
            m->wait.raise(wait_ns);
        }
        wall_[log2_histogram::bucket_of(wall_ns)].add();
        wait_[log2_histogram::bucket_of(wait_ns)].add();
    }
    /// All that was ever added.
    [[nodiscard]] timing_stats read() const noexcept { return read(all_); }
    /// What was added since `before.begin_after(*this)`. A reader may see the two out of step; the result is never
    /// below 0.
    [[nodiscard]] timing_stats read_since(timing_counters const& before) const noexcept
    {
        timing_stats t = read(latest_);
        timing_stats const then = before.read(before.all_);
        auto const reduce = [](std::uint64_t& now, std::uint64_t by) { now = now > by ? now - by : 0; };
        reduce(t.samples, then.samples);
        reduce(t.wall_ns_sum, then.wall_ns_sum);
        reduce(t.cpu_ns_sum, then.cpu_ns_sum);
        reduce(t.wait_ns_sum, then.wait_ns_sum);
        for (std::size_t b = 0; b < log2_histogram::bucket_count; ++b) {
            reduce(t.wall.buckets[b], then.wall.buckets[b]);
            reduce(t.wait.buckets[b], then.wait.buckets[b]);
        }
        return t;
    }
    /// Stores the sums of `now`, and resets its latest maxima. For the writer of both only.
    void begin_after(timing_counters& now) noexcept
    {
        auto const follow = [](counter& mine, counter const& other) { mine.add(other.value() - mine.value()); };
        follow(samples_, now.samples_);
        follow(wall_sum_, now.wall_sum_);
        follow(cpu_sum_, now.cpu_sum_);
        follow(wait_sum_, now.wait_sum_);
        for (std::size_t b = 0; b < log2_histogram::bucket_count; ++b) {
            follow(wall_[b], now.wall_[b]);
            follow(wait_[b], now.wait_[b]);
        }
        for (counter* const c : {&now.latest_.wall, &now.latest_.cpu, &now.latest_.wait})
            c->reset();
    }

private:
    struct maxima {
        counter wall, cpu, wait;
    };
    [[nodiscard]] timing_stats read(maxima const& of) const noexcept
    {
        timing_stats t;
        t.samples = samples_.value();
        t.wall_ns_sum = wall_sum_.value();
        t.cpu_ns_sum = cpu_sum_.value();
        t.wait_ns_sum = wait_sum_.value();
        t.wall_ns_max = of.wall.value();
        t.cpu_ns_max = of.cpu.value();
        t.wait_ns_max = of.wait.value();
        for (std::size_t b = 0; b < log2_histogram::bucket_count; ++b) {
            t.wall.buckets[b] = wall_[b].value();
            t.wait.buckets[b] = wait_[b].value();
        }
        return t;
    }

    counter samples_, wall_sum_, cpu_sum_, wait_sum_;
    maxima all_, latest_;
    std::array<counter, log2_histogram::bucket_count> wall_, wait_;
};

}
