// A transactional Kafka producer that takes whole columns of messages.
//
// It drives the librdkafka that confluent-kafka loads: its public functions are looked up in the library handed in, and the
// few prototypes used here are declared by hand from its documented ABI. Always true: librdkafka copies every message before
// `produce` returns; no call is made into Python from librdkafka's threads; the GIL is released around every call that may
// wait. One thread at a time may use a Producer. Deliberately unknown here: what a transaction means and when to retry.
#include "dataflow/kernels/arrow.h"

#include <dlfcn.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <sys/types.h>

#include <charconv>
#include <chrono>
#include <deque>
#include <mutex>
#include <thread>

namespace nb = nanobind;
using headwater::arrow::Column;
using headwater::arrow::Layout;

namespace {

// ---- librdkafka's ABI, as far as it is used -------------------------------------------------------------------------

struct Handle;   // rd_kafka_t
struct Conf;     // rd_kafka_conf_t
struct Topic;    // rd_kafka_topic_t
struct Failure;  // rd_kafka_error_t
struct Message {  // rd_kafka_message_t begins so
  int error;
};

enum VType : int { V_END = 0, V_RKT = 2, V_PARTITION = 3, V_VALUE = 4, V_KEY = 5, V_MSGFLAGS = 7, V_HEADER = 9 };

struct Argument {  // rd_kafka_vu_t
  int type;
  union {
    Topic* topic;
    int number;
    int32_t partition;
    struct {
      const void* ptr;
      size_t size;
    } mem;
    struct {
      const char* name;
      const void* value;
      ssize_t size;
    } header;
    char pad[64];
  } u;
};
static_assert(sizeof(Argument) == 72);

constexpr int PRODUCER = 0, CONF_OK = 0, COPY = 2, PURGE_ALL = 1 | 2 | 4;
constexpr int QUEUE_FULL = -184, TIMED_OUT = -185, INCONSISTENT = -149;

struct Library {
  Conf* (*conf_new)();
  void (*conf_destroy)(Conf*);
  int (*conf_set)(Conf*, const char*, const char*, char*, size_t);
  void (*conf_set_opaque)(Conf*, void*);
  void (*conf_set_log_cb)(Conf*, void (*)(const Handle*, int, const char*, const char*));
  void (*conf_set_dr_msg_cb)(Conf*, void (*)(Handle*, const Message*, void*));
  const char* (*err2name)(int);
  const char* (*err2str)(int);
  Handle* (*make)(int, Conf*, char*, size_t);
  void (*destroy)(Handle*);
  void* (*opaque)(const Handle*);
  int (*purge)(Handle*, int);
  int (*poll)(Handle*, int);
  int (*flush)(Handle*, int);
  Topic* (*topic_new)(Handle*, const char*, void*);
  void (*topic_destroy)(Topic*);
  Failure* (*produceva)(Handle*, const Argument*, size_t);
  Failure* (*init_transactions)(Handle*, int);
  Failure* (*begin_transaction)(Handle*);
  Failure* (*commit_transaction)(Handle*, int);
  Failure* (*abort_transaction)(Handle*, int);
  int (*error_code)(const Failure*);
  const char* (*error_name)(const Failure*);
  const char* (*error_string)(const Failure*);
  int (*error_is_fatal)(const Failure*);
  int (*error_is_retriable)(const Failure*);
  int (*error_txn_requires_abort)(const Failure*);
  void (*error_destroy)(Failure*);
  int (*last_error)();

  // `path` is a shared object that is librdkafka or depends on it. Never unloaded: librdkafka's threads may outlive us.
  explicit Library(const std::string& path) {
    void* object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!object) throw std::runtime_error(std::string("cannot load librdkafka: ") + dlerror());
    auto find = [object](auto& function, const char* name) {
      void* found = dlsym(object, name);
      if (!found) throw std::runtime_error(std::string("this librdkafka has no ") + name);
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(found);
    };
    find(conf_new, "rd_kafka_conf_new");
    find(conf_destroy, "rd_kafka_conf_destroy");
    find(conf_set, "rd_kafka_conf_set");
    find(conf_set_opaque, "rd_kafka_conf_set_opaque");
    find(conf_set_log_cb, "rd_kafka_conf_set_log_cb");
    find(conf_set_dr_msg_cb, "rd_kafka_conf_set_dr_msg_cb");
    find(err2name, "rd_kafka_err2name");
    find(err2str, "rd_kafka_err2str");
    find(make, "rd_kafka_new");
    find(destroy, "rd_kafka_destroy");
    find(opaque, "rd_kafka_opaque");
    find(purge, "rd_kafka_purge");
    find(poll, "rd_kafka_poll");
    find(flush, "rd_kafka_flush");
    find(topic_new, "rd_kafka_topic_new");
    find(topic_destroy, "rd_kafka_topic_destroy");
    find(produceva, "rd_kafka_produceva");
    find(init_transactions, "rd_kafka_init_transactions");
    find(begin_transaction, "rd_kafka_begin_transaction");
    find(commit_transaction, "rd_kafka_commit_transaction");
    find(abort_transaction, "rd_kafka_abort_transaction");
    find(error_code, "rd_kafka_error_code");
    find(error_name, "rd_kafka_error_name");
    find(error_string, "rd_kafka_error_string");
    find(error_is_fatal, "rd_kafka_error_is_fatal");
    find(error_is_retriable, "rd_kafka_error_is_retriable");
    find(error_txn_requires_abort, "rd_kafka_error_txn_requires_abort");
    find(error_destroy, "rd_kafka_error_destroy");
    find(last_error, "rd_kafka_last_error");
  }
};

// ---- what Python sees -----------------------------------------------------------------------------------------------

// An error of librdkafka, taken out of its object. code 0: none.
struct Outcome {
  int code = 0;
  std::string name, text;
  bool fatal = false, retriable = false, abortable = false;
};

Outcome take(const Library& library, Failure* failure) {
  Outcome out;
  if (!failure) return out;
  out.code = library.error_code(failure);
  out.name = library.error_name(failure);
  out.text = library.error_string(failure);
  out.fatal = library.error_is_fatal(failure);
  out.retriable = library.error_is_retriable(failure);
  out.abortable = library.error_txn_requires_abort(failure);
  library.error_destroy(failure);
  return out;
}

nb::object to_python(const Outcome& outcome) {
  if (outcome.code == 0) return nb::none();
  return nb::make_tuple(outcome.code, outcome.name, outcome.text, outcome.fatal, outcome.retriable, outcome.abortable);
}

// What librdkafka's callbacks leave: its newest LIMIT log lines, from its threads; and the first error of a message since
// `begin`, from within calls of the thread that uses the producer.
struct Notes {
  static constexpr size_t LIMIT = 100;
  std::mutex mutex;
  std::deque<std::pair<int, std::string>> lines;
  int undelivered = 0;

  void add(int level, std::string line) {
    std::lock_guard lock(mutex);
    if (lines.size() == LIMIT) lines.pop_front();
    lines.emplace_back(level, std::move(line));
  }
};

class Producer {
 public:
  Producer(const std::string& library, const std::map<std::string, std::string>& settings) : library_(library) {
    char error[512] = {};
    Conf* conf = library_.conf_new();
    auto all = settings;
    all["delivery.report.only.error"] = "true";
    for (const auto& [name, value] : all) {
      if (library_.conf_set(conf, name.c_str(), value.c_str(), error, sizeof error) != CONF_OK) {
        library_.conf_destroy(conf);
        throw std::invalid_argument(error);
      }
    }
    library_.conf_set_opaque(conf, &notes_);
    opaque_of = library_.opaque;
    library_.conf_set_log_cb(conf, [](const Handle* handle, int level, const char* facility, const char* text) {
      auto* notes = handle ? static_cast<Notes*>(opaque_of(handle)) : nullptr;
      if (notes) notes->add(level, std::string(facility) + ": " + text);
    });
    library_.conf_set_dr_msg_cb(conf, [](Handle*, const Message* message, void* opaque) {
      auto* notes = static_cast<Notes*>(opaque);
      if (message->error && !notes->undelivered) notes->undelivered = message->error;
    });
    {
      nb::gil_scoped_release release;
      handle_ = library_.make(PRODUCER, conf, error, sizeof error);
    }
    if (!handle_) {
      library_.conf_destroy(conf);
      throw std::invalid_argument(error);
    }
  }
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;
  ~Producer() { close(); }

  // Drop what is queued or in flight; an open transaction stays for the broker, or the next producer of its id, to abort.
  void close() {
    if (!handle_) return;
    nb::gil_scoped_release release;
    library_.purge(handle_, PURGE_ALL);
    library_.destroy(handle_);
    handle_ = nullptr;
  }

  nb::object init_transactions(int timeout_ms) {
    return call([&](Handle* handle) { return library_.init_transactions(handle, timeout_ms); });
  }
  nb::object begin() {
    notes_.undelivered = 0;
    return call([&](Handle* handle) { return library_.begin_transaction(handle); });
  }
  nb::object commit(int timeout_ms) {
    return call([&](Handle* handle) { return library_.commit_transaction(handle, timeout_ms); });
  }
  nb::object abort(int timeout_ms) {
    return call([&](Handle* handle) { return library_.abort_transaction(handle, timeout_ms); });
  }

  // Send what is queued; what failed on the way shows at the commit.
  nb::object flush(int timeout_ms) {
    Handle* handle = require();
    int code;
    {
      nb::gil_scoped_release release;
      code = library_.flush(handle, timeout_ms);
    }
    return to_python(code ? Outcome{code, "FLUSH", "messages are still on their way", false, true, false} : Outcome{});
  }

  // Messages from `start` on, until all are queued, the local queue stays full for `timeout_ms`, or an error.
  // Returns (the first message that is not queued, bytes queued, error or None); a full queue is TIMED_OUT.
  // A partition of -1 leaves the choice to the configured partitioner, by key.
  nb::tuple produce(const std::string& topic, int32_t partition, nb::handle key_array, nb::handle value_array, const std::string& header,
                    nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> times, int64_t start,
                    int timeout_ms) {
    Column keys = headwater::arrow::read_column(key_array), values = headwater::arrow::read_column(value_array);
    if (keys.format.layout != Layout::bytes || values.format.layout != Layout::bytes)
      throw std::invalid_argument("keys and values are large_binary columns");
    if (keys.length != values.length || static_cast<int64_t>(times.size()) != keys.length || start < 0)
      throw std::invalid_argument("keys, values and times differ in length");
    Handle* handle = require();
    const int64_t* time = times.data();
    int64_t row = start, bytes = 0;
    Outcome outcome;
    {
      nb::gil_scoped_release release;
      Topic* target = library_.topic_new(handle, topic.c_str(), nullptr);
      if (!target) {
        outcome = {library_.last_error(), "TOPIC", "cannot make a handle for topic " + topic, false, false, false};
      } else {
        auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
        for (; row < keys.length; ++row) {
          outcome = send(handle, target, partition, keys, values, header, time[row], row, bytes);
          while (outcome.code == QUEUE_FULL && std::chrono::steady_clock::now() < deadline) {
            library_.poll(handle, 0);
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
            outcome = send(handle, target, partition, keys, values, header, time[row], row, bytes);
          }
          if (outcome.code) break;
        }
        if (outcome.code == QUEUE_FULL) outcome = {TIMED_OUT, "_TIMED_OUT", "the local queue is full", false, true, false};
        library_.topic_destroy(target);
      }
    }
    return nb::make_tuple(row, bytes, to_python(outcome));
  }

  // (syslog level, text), oldest first, and forget them.
  std::vector<std::pair<int, std::string>> take_log() {
    std::lock_guard lock(notes_.mutex);
    std::vector<std::pair<int, std::string>> lines(notes_.lines.begin(), notes_.lines.end());
    notes_.lines.clear();
    return lines;
  }

 private:
  Handle* require() const {
    if (!handle_) throw std::runtime_error("the producer is closed");
    return handle_;
  }

  template <typename Call>
  nb::object call(Call&& function) {
    Handle* handle = require();
    Outcome outcome;
    {
      nb::gil_scoped_release release;
      outcome = take(library_, function(handle));
      library_.poll(handle, 0);
    }
    if (outcome.code == INCONSISTENT && notes_.undelivered) {  // it says only that messages failed: say why
      outcome.code = notes_.undelivered;
      outcome.name = library_.err2name(outcome.code);
      outcome.text = std::string(library_.err2str(outcome.code)) + "; " + outcome.text;
    }
    return to_python(outcome);
  }

  Outcome send(Handle* handle, Topic* topic, int32_t partition, const Column& keys, const Column& values,
               const std::string& header, int64_t time, int64_t row, int64_t& bytes) {
    char text[24];
    Argument arguments[6] = {};
    arguments[0].type = V_RKT, arguments[0].u.topic = topic;
    arguments[1].type = V_MSGFLAGS, arguments[1].u.number = COPY;
    std::string_view key = keys.bytes(row);
    arguments[2].type = V_KEY, arguments[2].u.mem = {key.data(), key.size()};
    // A null value is a tombstone; an empty one is not.
    std::string_view value = values.valid(row) ? values.bytes(row) : std::string_view();
    arguments[3].type = V_VALUE, arguments[3].u.mem = {value.data(), value.size()};
    arguments[4].type = V_PARTITION, arguments[4].u.partition = partition;
    size_t count = 5;
    if (!header.empty()) {
      auto end = std::to_chars(text, text + sizeof text, time).ptr;
      arguments[5].type = V_HEADER, arguments[5].u.header = {header.c_str(), text, end - text};
      count = 6;
    }
    Outcome outcome = take(library_, library_.produceva(handle, arguments, count));
    if (outcome.code == 0) bytes += static_cast<int64_t>(key.size() + value.size());
    return outcome;
  }

  static inline void* (*opaque_of)(const Handle*) = nullptr;
  Library library_;
  Notes notes_;
  Handle* handle_ = nullptr;
};

}  // namespace

NB_MODULE(_producer, m) {
  nb::set_leak_warnings(false);  // a daemon thread may hold a producer when the interpreter ends
  nb::class_<Producer>(m, "Producer")
      .def(nb::init<const std::string&, const std::map<std::string, std::string>&>(), nb::arg("library"),
           nb::arg("settings"))
      .def("init_transactions", &Producer::init_transactions, nb::arg("timeout_ms"))
      .def("begin", &Producer::begin)
      .def("commit", &Producer::commit, nb::arg("timeout_ms"))
      .def("abort", &Producer::abort, nb::arg("timeout_ms"))
      .def("produce", &Producer::produce, nb::arg("topic"), nb::arg("partition"), nb::arg("keys"), nb::arg("values"),
           nb::arg("header"), nb::arg("times"), nb::arg("start"), nb::arg("timeout_ms"))
      .def("flush", &Producer::flush, nb::arg("timeout_ms"))
      .def("take_log", &Producer::take_log)
      .def("close", &Producer::close);
}
