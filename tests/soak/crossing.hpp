// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
//
// Where all workers of the soak wait for each other.
#pragma once
#include <atomic>
#include <condition_variable>
#include <mutex>

namespace soak {

/// Where everybody waits at the end of an interval.
class crossing {
public:
    /// Called between two requests.
    void pass()
    {
        if (!closed_.load(std::memory_order_relaxed))
            return;
        std::unique_lock guard{lock_};
        ++waiting_;
        changed_.notify_all();
        changed_.wait(guard, [this] { return !closed_.load(); });
        --waiting_;
    }
    void leave()
    {
        std::lock_guard const guard{lock_};
        --members_;
        changed_.notify_all();
    }
    /// Closes it and waits until all members are there.
    void close()
    {
        std::unique_lock guard{lock_};
        closed_.store(true);
        changed_.wait(guard, [this] { return waiting_ == members_; });
    }
    void open()
    {
        std::lock_guard const guard{lock_};
        closed_.store(false);
        changed_.notify_all();
    }
    void join()
    {
        std::lock_guard const guard{lock_};
        ++members_;
    }

private:
    std::mutex lock_;
    std::condition_variable changed_;
    std::atomic<bool> closed_{false};
    unsigned waiting_ = 0;
    unsigned members_ = 0;
};

}
