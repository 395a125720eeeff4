// The threads that share the work of a kernel call.
//
// Always true: what the tasks of a call are depends on its data alone, and each writes what no other one touches, so results are the same to the byte
// with any number of threads. The caller works too, and returns when all tasks are done. One call at a time has the threads; a call that finds them busy,
// also one from inside a task, does its tasks itself. Threads touch no Python object, take no signals, and none are left in a forked child.
// Deliberately unknown: what is computed.
#pragma once

#include <pthread.h>
#include <signal.h>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace headwater::rows {

class Pool {
 public:
  // The one pool of the process. It is never destroyed: threads asleep at exit touch nothing.
  static Pool& shared() { return *instance(); }

  // Rows that make one task; a call with less than two tasks' rows stays on its thread.
  int64_t piece_rows() const { return piece_rows_.load(std::memory_order_relaxed); }

  // The threads, the caller's included: what a result depends on is never how many.
  int64_t threads() const { return 1 + spare_; }

  // So many more (or fewer) threads of others' compute meanwhile, on a core each: as many of the pool's join no call until then.
  void occupy(int by) {
    occupied_ += by;
    if (by >= 0) return;
    std::lock_guard lock(mutex_);
    if (job_) wake_.notify_all();
  }
  // Have this many threads, the caller's included, from now on; calls under way end first.
  void resize(int threads, int64_t piece_rows) {
    while (busy_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    ending_ = false;
    piece_rows_ = piece_rows;
    std::exception_ptr failure;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited by the threads: signals are for Python's
    try {
      for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(static_cast<size_t>(i)); });
    } catch (const std::system_error&) {
      failure = std::current_exception();
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    spare_ = static_cast<int>(workers_.size());
    busy_.clear(std::memory_order_release);
    if (failure) std::rethrow_exception(failure);
  }

  // Call task(i) for each i in [0, count), in any order; on the caller's thread unless they are `worth` more. Raises what one of them raised.
  template <class Task>
  void run(int64_t count, Task&& task, bool worth = true) {
    if (count <= 1 || !worth || !spare_ || busy_.test_and_set(std::memory_order_acquire)) {
      for (int64_t i = 0; i < count; ++i) task(i);
      return;
    }
    Job job{[](void* t, int64_t i) { (*static_cast<std::remove_reference_t<Task>*>(t))(i); }, &task, count, workers_.size() + 1};
    {
      std::lock_guard lock(mutex_);
      job_ = &job;
      calls_.fetch_add(1, std::memory_order_relaxed);
    }
    if (free() > 0) wake_.notify_all();
    finish(job, 0);
    for (auto until = Clock::now() + kSpin; inside_.load(std::memory_order_acquire) && Clock::now() < until;) std::this_thread::yield();
    {
      std::unique_lock lock(mutex_);
      job_ = nullptr;  // who comes late finds nothing
      done_.wait(lock, [&] { return !inside_; });
    }
    busy_.clear(std::memory_order_release);
    if (job.failure) std::rethrow_exception(job.failure);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::microseconds kSpin{300};  // a thread looks so long for the next call: waking it takes a sixth of that
  // The tasks that one thread begins with: neighbours, and the same ones in each call over as many rows, so that rows stay in its core's caches.
  struct alignas(64) Share {
    std::atomic<int64_t> next;
    int64_t end;
  };
  struct Job {
    void (*call)(void*, int64_t);
    void* task;
    std::vector<Share> shares;
    std::mutex failing{};
    std::exception_ptr failure{};

    Job(void (*call_)(void*, int64_t), void* task_, int64_t count, size_t threads) : call(call_), task(task_), shares(threads) {
      auto edge = [&](size_t thread) { return count * static_cast<int64_t>(thread) / static_cast<int64_t>(threads); };
      for (size_t i = 0; i < threads; ++i) shares[i].next = edge(i), shares[i].end = edge(i + 1);
    }
  };

  // A forked child may give back what its parent occupied.
  int free() const { return spare_ - std::max<int>(0, occupied_); }

  static Pool*& instance() {
    static Pool* pool = [] {
      pthread_atfork(nullptr, nullptr, [] { instance() = new Pool; });
      return new Pool;
    }();
    return pool;
  }

  // Do this thread's share, then what others have not begun.
  static void finish(Job& job, size_t thread) {
    for (size_t turn = 0; turn < job.shares.size(); ++turn) {
      Share& share = job.shares[(thread + turn) % job.shares.size()];
      for (int64_t i; (i = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;) {
        try {
          job.call(job.task, i);
        } catch (...) {
          std::lock_guard lock(job.failing);
          if (!job.failure) job.failure = std::current_exception();
        }
      }
    }
  }

  void work(size_t thread) {
    pthread_setname_np(pthread_self(), "kernels");
    uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    for (;;) {
      if (ending_) return;
      uint64_t calls = calls_.load(std::memory_order_relaxed);
      if (job_ && calls != seen && inside_ < free()) {
        seen = calls;
        Job& job = *job_;
        inside_.fetch_add(1, std::memory_order_relaxed);
        lock.unlock();
        finish(job, thread);
        lock.lock();
        if (inside_.fetch_sub(1, std::memory_order_release) == 1) done_.notify_all();
        lock.unlock();
        for (auto until = Clock::now() + kSpin; free() > 0 && calls_.load(std::memory_order_relaxed) == seen && Clock::now() < until;) std::this_thread::yield();
        lock.lock();
      } else {
        wake_.wait(lock);
      }
    }
  }

  std::vector<std::thread> workers_;
  std::atomic<int> spare_{0}, occupied_{0};
  std::atomic<int64_t> piece_rows_{4096};
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  Job* job_ = nullptr;             // under the mutex
  bool ending_ = false;             // under the mutex
  std::atomic<uint64_t> calls_{0};  // calls so far; changed under the mutex
  std::atomic<int> inside_{0};      // threads in the job; changed under the mutex
};

// A vector whose new elements are whatever is there: for what is written before it is read, best by the thread that first touches its memory.
template <class T>
struct Unset : std::allocator<T> {
  template <class U, class... Arguments>
  void construct(U* at, Arguments&&... arguments) {
    if constexpr (sizeof...(arguments)) ::new (static_cast<void*>(at)) U(std::forward<Arguments>(arguments)...);
    else ::new (static_cast<void*>(at)) U;
  }
};
template <class T>
using Raw = std::vector<T, Unset<T>>;

// How many tasks `rows` rows are.
inline int64_t pieces_of(int64_t rows) { return std::max<int64_t>(1, rows / Pool::shared().piece_rows()); }

// Call use(begin, end, piece) for pieces of [0, rows) that begin at multiples of 8, where bitmaps have bytes of their own.
template <class Use>
void split(int64_t rows, Use&& use) {
  int64_t pieces = pieces_of(rows);
  auto edge = [&](int64_t piece) { return piece == pieces ? rows : rows * piece / pieces / 8 * 8; };
  Pool::shared().run(pieces, [&](int64_t piece) { use(edge(piece), edge(piece + 1), piece); });
}

// Call use(begin, end, part) for as many stretches of [0, rows) as there are threads: for work whose results of two stretches cost something to put together.
// `parts` is what `parts_of` gave.
inline int64_t parts_of(int64_t rows) { return std::min(pieces_of(rows), Pool::shared().threads()); }

template <class Use>
void split_into(int64_t parts, int64_t rows, Use&& use) {
  Pool::shared().run(parts, [&](int64_t part) { use(rows * part / parts, rows * (part + 1) / parts, part); });
}

}  // namespace headwater::rows
