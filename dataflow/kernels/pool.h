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
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace headwater::rows {

class Pool {
 public:
  // The one pool of the process. It is never destroyed: threads asleep at exit touch nothing.
  static Pool& shared() { return *instance(); }

  // Rows that make one task; a call with less than two tasks' rows stays on its thread.
  int64_t piece_rows() const { return piece_rows_.load(std::memory_order_relaxed); }

  void occupy(int by) { occupied_ += by; }  // so many more (or fewer) threads of others' compute meanwhile, on a core each
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
      for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
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
    if (count <= 1 || !worth || spare_ <= occupied_ || busy_.test_and_set(std::memory_order_acquire)) {
      for (int64_t i = 0; i < count; ++i) task(i);
      return;
    }
    Job job{[](void* t, int64_t i) { (*static_cast<std::remove_reference_t<Task>*>(t))(i); }, &task, count};
    {
      std::lock_guard lock(mutex_);
      job_ = &job;
      calls_.fetch_add(1, std::memory_order_relaxed);
    }
    wake_.notify_all();
    finish(job);
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
  static constexpr std::chrono::microseconds kSpin{50};  // a thread looks so long for the next call: waking it takes about that
  struct Job {
    void (*call)(void*, int64_t);
    void* task;
    int64_t count;
    std::atomic<int64_t> next{0};
    std::mutex failing{};
    std::exception_ptr failure{};
  };

  static Pool*& instance() {
    static Pool* pool = [] {
      pthread_atfork(nullptr, nullptr, [] { instance() = new Pool; });
      return new Pool;
    }();
    return pool;
  }

  static void finish(Job& job) {
    for (int64_t i; (i = job.next.fetch_add(1, std::memory_order_relaxed)) < job.count;) {
      try {
        job.call(job.task, i);
      } catch (...) {
        std::lock_guard lock(job.failing);
        if (!job.failure) job.failure = std::current_exception();
      }
    }
  }

  void work() {
    pthread_setname_np(pthread_self(), "kernels");
    uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    for (;;) {
      if (ending_) return;
      uint64_t calls = calls_.load(std::memory_order_relaxed);
      if (job_ && calls != seen) {
        seen = calls;
        Job& job = *job_;
        inside_.fetch_add(1, std::memory_order_relaxed);
        lock.unlock();
        finish(job);
        lock.lock();
        if (inside_.fetch_sub(1, std::memory_order_release) == 1) done_.notify_all();
        lock.unlock();
        for (auto until = Clock::now() + kSpin; calls_.load(std::memory_order_relaxed) == seen && Clock::now() < until;) std::this_thread::yield();
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

// How many tasks `rows` rows are.
inline int64_t pieces_of(int64_t rows) { return std::max<int64_t>(1, rows / Pool::shared().piece_rows()); }

// Call use(begin, end, piece) for pieces of [0, rows) that begin at multiples of 8, where bitmaps have bytes of their own.
template <class Use>
void split(int64_t rows, Use&& use) {
  int64_t pieces = pieces_of(rows);
  auto edge = [&](int64_t piece) { return piece == pieces ? rows : rows * piece / pieces / 8 * 8; };
  Pool::shared().run(pieces, [&](int64_t piece) { use(edge(piece), edge(piece + 1), piece); });
}

}  // namespace headwater::rows
