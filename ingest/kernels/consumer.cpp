// A Kafka consumer of one topic that gives whole batches as columns.
//
// It drains librdkafka's queue straight into Arrow buffers: no Python object per message. Partitions are assigned with our
// own offsets; there is no group membership. Always true: rows of one partition come in offset order; no call is made into
// Python from librdkafka's threads; the GIL is released around every call that may wait or loop. One thread at a time may use
// a Consumer. Deliberately unknown here: what the bytes mean, when to retry, which offsets are wanted.
#include "ingest/kernels/consumer_digest.h"
#include "ingest/kernels/consumer_library.h"

#include "dataflow/kernels/arrow.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <tuple>

namespace nb = nanobind;
using headwater::arrow::Builder;
using namespace headwater::kafka;

namespace {

using Offsets = std::map<int32_t, int64_t>;

// What librdkafka's threads report; read by ours.
struct Reports {
  std::mutex lock;
  int code = 0;
  std::string reason;
  int64_t failures = 0;
  std::deque<std::pair<int, std::string>> logs;
  bool verbose = false;      // whether debug lines are wanted
  std::string change;        // " changed id from ", with the topic's name before it
  std::string id;            // what the last such line named, until somebody took it

  // Whether a line says which topic stands behind the name from now on: see `Consumer::identity`.
  void hear(std::string_view text) {
    size_t at = text.find(change);
    if (at == std::string_view::npos) return;
    at = text.find(" to ", at + change.size());
    if (at == std::string_view::npos) return;
    if (std::string found = hex(text.substr(at + 4)); !found.empty()) id = std::move(found);
  }

  // The 16 bytes of an id in base64 as hex digits; "" for what is none, and for the id of nothing, zero.
  static std::string hex(std::string_view base64) {
    constexpr std::string_view ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    constexpr std::string_view DIGITS = "0123456789abcdef";
    std::string digits;
    uint32_t bits = 0;
    int count = 0;
    for (char c : base64) {
      size_t value = ALPHABET.find(c);
      if (value == std::string_view::npos) break;
      bits = (bits << 6) | static_cast<uint32_t>(value);
      for (count += 6; count >= 4 && digits.size() < 32; bits &= (1u << count) - 1) digits += DIGITS[bits >> (count -= 4)];
    }
    return digits.size() == 32 && digits.find_first_not_of('0') != std::string::npos ? digits : "";
  }
};

constexpr std::chrono::seconds CLOSE_PATIENCE(1);
constexpr size_t KEPT_LOGS = 50;
constexpr int DEBUG = 7;  // syslog's level
constexpr int64_t SLICE = 500;  // messages asked for at a time: their bytes stay in the processor's cache

void on_error(Handle*, int code, const char* reason, void* opaque) {
  auto* reports = static_cast<Reports*>(opaque);
  std::lock_guard guard(reports->lock);
  reports->code = code;
  reports->reason = reason ? reason : "";
  ++reports->failures;
}

template <class T>
nb::object as_numpy(std::vector<T>&& values) {
  auto* kept = new std::vector<T>(std::move(values));
  nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<1>>(kept->data(), {kept->size()}, owner));
}

// One drain's rows while they are collected.
struct Batch {
  Builder values{"Z"}, keys{"Z"};
  std::vector<int64_t> offsets, timestamps;
  std::vector<int32_t> partitions;
  std::vector<uint64_t> digests;
  int64_t bytes = 0;
  Offsets ends;
  std::vector<std::tuple<int32_t, int, std::string>> errors;

  int64_t length() const { return static_cast<int64_t>(offsets.size()); }

  static void put(Builder& column, const void* data, size_t size) {
    if (data)
      column.append_bytes({static_cast<const char*>(data), size});
    else
      column.append_null();
  }

  void add(const Library& kafka, const Message& message) {
    if (message.err == PARTITION_EOF) {
      int64_t& end = ends.try_emplace(message.partition, message.offset).first->second;
      end = std::max(end, message.offset);
      return;
    }
    if (message.err != NO_ERROR) {
      const char* text = kafka.message_errstr(&message);
      errors.emplace_back(message.partition, message.err, text ? text : kafka.text(message.err));
      return;
    }
    put(values, message.payload, message.len);
    put(keys, message.key, message.key_len);
    offsets.push_back(message.offset);
    partitions.push_back(message.partition);
    timestamps.push_back(kafka.message_timestamp(&message, nullptr));
    digests.push_back(headwater::digest::record(message.partition, message.offset, static_cast<const uint8_t*>(message.key),
                                                message.key_len, static_cast<const uint8_t*>(message.payload), message.len));
    bytes += static_cast<int64_t>(message.len + message.key_len);
  }
};

class Consumer {
 public:
  Consumer(const std::string& library, const std::map<std::string, std::string>& properties, std::string topic)
      : kafka_(Library::at(library)), topic_(std::move(topic)), reports_(std::make_shared<Reports>()) {
    char reason[512] = "";
    Conf* conf = kafka_.conf_new();
    for (const auto& [name, value] : properties) {
      if (kafka_.conf_set(conf, name.c_str(), value.c_str(), reason, sizeof reason) != CONF_OK) {
        kafka_.conf_destroy(conf);
        throw std::invalid_argument(reason);
      }
    }
    // A topic's id is told in debug lines alone; see `identity`.
    auto debug = properties.find("debug");
    reports_->verbose = debug != properties.end();
    reports_->change = "Topic " + topic_ + " changed id from ";
    std::string wanted = reports_->verbose ? debug->second + ",metadata" : "metadata";
    kafka_.conf_set(conf, "debug", wanted.c_str(), reason, sizeof reason);
    kafka_.conf_set(conf, "log_level", "7", reason, sizeof reason);
    kafka_.conf_set_opaque(conf, reports_.get());
    kafka_.conf_set_error_cb(conf, on_error);
    // A plain function cannot carry the library, so that the opaque pointer is found through a copy of the function.
    opaque_ = kafka_.opaque;
    kafka_.conf_set_log_cb(conf, [](const Handle* handle, int level, const char* facility, const char* text) {
      auto* reports = handle ? static_cast<Reports*>(opaque_(handle)) : nullptr;
      if (!reports) return;
      std::lock_guard guard(reports->lock);
      if (level == DEBUG) reports->hear(text);
      if (level == DEBUG && !reports->verbose) return;
      if (reports->logs.size() == KEPT_LOGS) reports->logs.pop_front();
      reports->logs.emplace_back(level, std::string(facility) + ": " + text);
    });
    handle_ = kafka_.make(CONSUMER, conf, reason, sizeof reason);
    if (!handle_) {
      kafka_.conf_destroy(conf);
      throw std::invalid_argument(reason);
    }
    metadata_topic_ = kafka_.topic_new(handle_, topic_.c_str(), nullptr);
    if (!metadata_topic_) {
      kafka_.destroy(std::exchange(handle_, nullptr), NO_CONSUMER_CLOSE);
      throw std::invalid_argument("topic name '" + topic_ + "' is not one that Kafka allows");
    }
    queue_ = kafka_.queue_consumer(handle_);
    admin_ = kafka_.queue_new(handle_);
    commits_ = kafka_.queue_new(handle_);
  }
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;
  ~Consumer() { close(); }

  void close() {
    if (!handle_) return;
    nb::gil_scoped_release unlocked;
    Handle* handle = std::exchange(handle_, nullptr);
    kafka_.topic_destroy(metadata_topic_);
    kafka_.queue_destroy(queue_);
    kafka_.queue_destroy(admin_);
    kafka_.queue_destroy(commits_);
    // While a commit waits for its coordinator the client does not come to an end: it is left to end by itself.
    std::promise<void> ended;
    std::future<void> end = ended.get_future();
    std::thread([&kafka = kafka_, handle, reports = reports_, ended = std::move(ended)]() mutable {
      kafka.destroy(handle, NO_CONSUMER_CLOSE);
      ended.set_value();
    }).detach();
    end.wait_for(CLOSE_PATIENCE);
  }

  // Read these partitions besides those read already.
  void assign(const Offsets& offsets) {
    check();
    nb::gil_scoped_release unlocked;
    auto list = make_list(offsets);
    std::unique_ptr<Failure, void (*)(Failure*)> failure(kafka_.incremental_assign(handle_, list.get()),
                                                         kafka_.failure_destroy);
    if (failure) throw std::runtime_error(kafka_.failure_string(failure.get()));
  }

  nb::tuple drain(int64_t max_messages, int64_t max_bytes, int timeout_ms) {
    check();
    if (max_messages < 1 || max_bytes < 1) throw std::invalid_argument("drain needs at least one message and one byte");
    Batch batch;
    {
      nb::gil_scoped_release unlocked;
      kafka_.poll(handle_, 0);  // serves the error callback
      collect(batch, 1, timeout_ms);
      while (batch.length() < max_messages && batch.bytes < max_bytes) {
        int64_t fit = std::max<int64_t>(1, (max_bytes - batch.bytes) / std::max<int64_t>(1, typical_));
        if (!collect(batch, std::min({SLICE, fit, max_messages - batch.length()}), 0)) break;
      }
      if (batch.length()) typical_ = batch.bytes / batch.length();
    }
    int64_t bytes = batch.bytes;
    return nb::make_tuple(headwater::arrow::write_column(batch.values.finish()),
                          headwater::arrow::write_column(batch.keys.finish()), as_numpy(std::move(batch.offsets)),
                          as_numpy(std::move(batch.partitions)), as_numpy(std::move(batch.timestamps)),
                          as_numpy(std::move(batch.digests)), bytes, batch.ends, batch.errors);
  }

  // (code, reason, partitions): code is 0, or why the topic cannot be described. Waits for the broker.
  std::tuple<int, std::string, std::vector<int32_t>> describe(int timeout_ms) {
    check();
    nb::gil_scoped_release unlocked;
    const Metadata* found = nullptr;
    int code = kafka_.metadata(handle_, 0, metadata_topic_, &found, timeout_ms);
    if (code != NO_ERROR) return {code, kafka_.text(code), {}};
    std::unique_ptr<const Metadata, void (*)(const Metadata*)> metadata(found, kafka_.metadata_destroy);
    if (metadata->topic_count != 1) return {UNKNOWN_TOPIC, kafka_.text(UNKNOWN_TOPIC), {}};
    const MetadataTopic& topic = metadata->topics[0];
    if (topic.err != NO_ERROR) return {topic.err, kafka_.text(topic.err), {}};
    std::vector<int32_t> partitions;
    for (int i = 0; i < topic.partition_count; ++i) partitions.push_back(topic.partitions[i].id);
    std::sort(partitions.begin(), partitions.end());
    return {NO_ERROR, "", partitions};
  }

  // Ask for the topic's id; `identity` has it later. Does nothing while a question is under way.
  void ask_identity(int timeout_ms) {
    check();
    if (asking_) return;
    nb::gil_scoped_release unlocked;
    const char* names[] = {topic_.c_str()};
    std::unique_ptr<TopicNames, void (*)(TopicNames*)> topics(kafka_.topic_names(names, 1), kafka_.topic_names_destroy);
    char reason[256] = "";
    std::unique_ptr<AdminOptions, void (*)(AdminOptions*)> options(kafka_.admin_options(handle_, DESCRIBE_TOPICS),
                                                                   kafka_.admin_options_destroy);
    if (kafka_.admin_timeout(options.get(), timeout_ms, reason, sizeof reason) != NO_ERROR)
      throw std::invalid_argument(reason);
    kafka_.describe_topics(handle_, topics.get(), options.get(), admin_);
    asking_ = true;
  }

  // The topic's id as 32 hex digits, once per answer and whenever librdkafka learned of another one; "" when there is nothing
  // new. Never waits.
  //
  // Brokers since 3.1 take fetches by id, and librdkafka says in a debug line that the id of a name is another one before it
  // fetches by it. So what `drain` returned is of the topic that was known before it if this, asked after it, names no other.
  std::string identity() {
    check();
    {
      std::lock_guard guard(reports_->lock);
      if (!reports_->id.empty()) return std::exchange(reports_->id, "");
    }
    if (!asking_) return "";
    nb::gil_scoped_release unlocked;
    std::unique_ptr<Event, void (*)(Event*)> event(kafka_.queue_poll(admin_, 0), kafka_.event_destroy);
    if (!event) return "";
    asking_ = false;
    if (kafka_.event_error(event.get())) return "";
    size_t count = 0;
    const void* result = kafka_.event_describe(event.get());
    const Description** found = result ? kafka_.described(result, &count) : nullptr;
    if (!found || count != 1) return "";
    const Failure* failure = kafka_.description_error(found[0]);
    if (failure && kafka_.failure_code(failure) != NO_ERROR) return "";
    return hex(kafka_.description_id(found[0]));
  }

  // (code, reason, low, high), asked of the broker; with read_committed `high` is the last stable offset.
  std::tuple<int, std::string, int64_t, int64_t> watermarks(int32_t partition, int timeout_ms) {
    check();
    nb::gil_scoped_release unlocked;
    int64_t low = -1, high = -1;
    int code = kafka_.query_watermarks(handle_, topic_.c_str(), partition, &low, &high, timeout_ms);
    return {code, code ? kafka_.text(code) : "", low, high};
  }

  // (low, high) as of the last fetch; negative where nothing was fetched yet.
  std::pair<int64_t, int64_t> known_watermarks(int32_t partition) {
    check();
    int64_t low = -1, high = -1;
    if (kafka_.get_watermarks(handle_, topic_.c_str(), partition, &low, &high) != NO_ERROR) return {-1, -1};
    return {low, high};
  }

  // Tell the group how far we are, for lag tools. Nothing waits for it; false when the last time is still under way.
  // Not by AlterConsumerGroupOffsets: admin requests to a coordinator abort the process when its connection breaks at the
  // wrong moment (librdkafka 2.16, issues 3663 and 4605).
  bool commit(const Offsets& offsets) {
    check();
    nb::gil_scoped_release unlocked;
    std::unique_ptr<Event, void (*)(Event*)> answer(kafka_.queue_poll(commits_, 0), kafka_.event_destroy);
    if (answer) committing_ = false;
    if (committing_) return false;
    committing_ = kafka_.commit(handle_, make_list(offsets).get(), commits_, nullptr, nullptr) == NO_ERROR;
    return committing_;
  }

  // (how many, code, reason) of the errors that concern no single partition: count so far, and the last one.
  std::tuple<int64_t, int, std::string> failures() {
    std::lock_guard guard(reports_->lock);
    return {reports_->failures, reports_->code, reports_->reason};
  }

  // (syslog level, text) of librdkafka's own log lines since the last call, the newest 50 at most.
  std::vector<std::pair<int, std::string>> logs() {
    std::lock_guard guard(reports_->lock);
    std::vector<std::pair<int, std::string>> lines(reports_->logs.begin(), reports_->logs.end());
    reports_->logs.clear();
    return lines;
  }

 private:
  using List = std::unique_ptr<TopicPartitions, void (*)(TopicPartitions*)>;

  void check() const {
    if (!handle_) throw std::runtime_error("the consumer is closed");
  }

  List make_list(const Offsets& offsets) const {
    List list(kafka_.list_new(static_cast<int>(offsets.size())), kafka_.list_destroy);
    for (auto [partition, offset] : offsets) kafka_.list_add(list.get(), topic_.c_str(), partition)->offset = offset;
    return list;
  }

  // Move up to `count` queued messages into the batch; false when there were none.
  bool collect(Batch& batch, int64_t count, int timeout_ms) {
    Message* messages[SLICE];
    ssize_t got = kafka_.consume_batch(queue_, timeout_ms, messages, static_cast<size_t>(count));
    if (got <= 0) return false;
    // Destroyed whatever happens: an allocation may fail half-way.
    struct Guard {
      const Library& kafka;
      Message** messages;
      ssize_t count;
      ~Guard() {
        for (ssize_t i = 0; i < count; ++i) kafka.message_destroy(messages[i]);
      }
    } guard{kafka_, messages, got};
    for (ssize_t i = 0; i < got; ++i) batch.add(kafka_, *messages[i]);
    return true;
  }

  std::string hex(const Uuid* id) const {
    if (!id) return "";
    auto high = static_cast<uint64_t>(kafka_.uuid_high(id)), low = static_cast<uint64_t>(kafka_.uuid_low(id));
    if (!high && !low) return "";  // brokers without topic ids
    char text[33];
    std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(high),
                  static_cast<unsigned long long>(low));
    return text;
  }

  inline static void* (*opaque_)(const Handle*) = nullptr;

  const Library& kafka_;
  std::string topic_;
  std::shared_ptr<Reports> reports_;
  Handle* handle_ = nullptr;
  Topic* metadata_topic_ = nullptr;
  Queue* queue_ = nullptr;
  Queue* admin_ = nullptr;
  Queue* commits_ = nullptr;
  bool asking_ = false, committing_ = false;
  int64_t typical_ = 1024;  // bytes of a message, as of the last batch
};

}  // namespace

NB_MODULE(_consumer, module) {
  module.doc() = "A Kafka consumer of one topic that gives whole batches as columns.";
  nb::class_<Consumer>(module, "Consumer")
      .def(nb::init<const std::string&, const std::map<std::string, std::string>&, std::string>(), nb::arg("library"),
           nb::arg("properties"), nb::arg("topic"))
      .def("assign", &Consumer::assign, nb::arg("offsets"))
      .def("drain", &Consumer::drain, nb::arg("max_messages"), nb::arg("max_bytes"), nb::arg("timeout_ms"))
      .def("describe", &Consumer::describe, nb::arg("timeout_ms"))
      .def("ask_identity", &Consumer::ask_identity, nb::arg("timeout_ms"))
      .def("identity", &Consumer::identity)
      .def("watermarks", &Consumer::watermarks, nb::arg("partition"), nb::arg("timeout_ms"))
      .def("known_watermarks", &Consumer::known_watermarks, nb::arg("partition"))
      .def("commit", &Consumer::commit, nb::arg("offsets"))
      .def("failures", &Consumer::failures)
      .def("logs", &Consumer::logs)
      .def("close", &Consumer::close);
}
