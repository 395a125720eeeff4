// librdkafka's public ABI, as far as the consumer uses it: prototypes declared by hand, functions looked up by name.
//
// Always true: only functions and structures that rdkafka.h documents as public and stable are used. The library is never
// unloaded, because its threads may outlive us. Deliberately unknown: what the functions are used for.
#pragma once

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace headwater::kafka {

struct Handle;            // rd_kafka_t
struct Conf;              // rd_kafka_conf_t
struct Queue;             // rd_kafka_queue_t
struct Event;             // rd_kafka_event_t
struct Failure;           // rd_kafka_error_t
struct TopicNames;        // rd_kafka_TopicCollection_t
struct AdminOptions;      // rd_kafka_AdminOptions_t
struct Description;       // rd_kafka_TopicDescription_t
struct Topic;             // rd_kafka_topic_t
struct Uuid;              // rd_kafka_Uuid_t

struct Message {  // rd_kafka_message_t
  int err;
  void* topic;
  int32_t partition;
  void* payload;
  size_t len;
  void* key;
  size_t key_len;
  int64_t offset;
  void* private_;
};
static_assert(sizeof(Message) == 72);

struct TopicPartition {  // rd_kafka_topic_partition_t
  char* topic;
  int32_t partition;
  int64_t offset;
  void* metadata;
  size_t metadata_size;
  void* opaque;
  int err;
  void* private_;
};
static_assert(sizeof(TopicPartition) == 64);

struct TopicPartitions {  // rd_kafka_topic_partition_list_t
  int count;
  int size;
  TopicPartition* elements;
};

struct MetadataPartition {  // rd_kafka_metadata_partition_t
  int32_t id;
  int err;
  int32_t leader;
  int replica_count;
  int32_t* replicas;
  int isr_count;
  int32_t* isrs;
};
static_assert(sizeof(MetadataPartition) == 40);

struct MetadataTopic {  // rd_kafka_metadata_topic_t
  char* topic;
  int partition_count;
  MetadataPartition* partitions;
  int err;
};
static_assert(sizeof(MetadataTopic) == 32);

struct Metadata {  // rd_kafka_metadata_t
  int broker_count;
  void* brokers;
  int topic_count;
  MetadataTopic* topics;
  int32_t origin;
  char* origin_name;
};
static_assert(sizeof(Metadata) == 48);

inline constexpr int CONSUMER = 1, CONF_OK = 0, NO_ERROR = 0, UNKNOWN_TOPIC = 3, PARTITION_EOF = -191;
inline constexpr int DESCRIBE_TOPICS = 19, NO_CONSUMER_CLOSE = 0x8;

struct Library {
  Conf* (*conf_new)();
  void (*conf_destroy)(Conf*);
  int (*conf_set)(Conf*, const char*, const char*, char*, size_t);
  void (*conf_set_opaque)(Conf*, void*);
  void (*conf_set_log_cb)(Conf*, void (*)(const Handle*, int, const char*, const char*));
  void (*conf_set_error_cb)(Conf*, void (*)(Handle*, int, const char*, void*));
  Handle* (*make)(int, Conf*, char*, size_t);
  void (*destroy)(Handle*, int);
  void* (*opaque)(const Handle*);
  int (*poll)(Handle*, int);
  const char* (*text)(int);
  Queue* (*queue_consumer)(Handle*);
  Queue* (*queue_new)(Handle*);
  void (*queue_destroy)(Queue*);
  Event* (*queue_poll)(Queue*, int);
  void (*event_destroy)(Event*);
  int (*event_error)(Event*);
  const void* (*event_describe)(Event*);
  ssize_t (*consume_batch)(Queue*, int, Message**, size_t);
  void (*message_destroy)(Message*);
  int64_t (*message_timestamp)(const Message*, int*);
  const char* (*message_errstr)(const Message*);
  TopicPartitions* (*list_new)(int);
  TopicPartition* (*list_add)(TopicPartitions*, const char*, int32_t);
  void (*list_destroy)(TopicPartitions*);
  Failure* (*incremental_assign)(Handle*, const TopicPartitions*);
  int (*failure_code)(const Failure*);
  const char* (*failure_string)(const Failure*);
  void (*failure_destroy)(Failure*);
  int (*commit)(Handle*, const TopicPartitions*, Queue*, void*, void*);
  int (*query_watermarks)(Handle*, const char*, int32_t, int64_t*, int64_t*, int);
  int (*get_watermarks)(Handle*, const char*, int32_t, int64_t*, int64_t*);
  TopicNames* (*topic_names)(const char**, size_t);
  void (*topic_names_destroy)(TopicNames*);
  AdminOptions* (*admin_options)(Handle*, int);
  int (*admin_timeout)(AdminOptions*, int, char*, size_t);
  void (*admin_options_destroy)(AdminOptions*);
  void (*describe_topics)(Handle*, TopicNames*, const AdminOptions*, Queue*);
  const Description** (*described)(const void*, size_t*);
  const Failure* (*description_error)(const Description*);
  const Uuid* (*description_id)(const Description*);
  Topic* (*topic_new)(Handle*, const char*, void*);
  void (*topic_destroy)(Topic*);
  int (*metadata)(Handle*, int, Topic*, const Metadata**, int);
  void (*metadata_destroy)(const Metadata*);
  int64_t (*uuid_high)(const Uuid*);
  int64_t (*uuid_low)(const Uuid*);

  // `path` is a shared object that is librdkafka.
  explicit Library(const std::string& path) {
    void* object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!object) throw std::runtime_error(std::string("cannot load librdkafka: ") + dlerror());
    auto find = [&](auto& function, const char* symbol) {
      void* found = dlsym(object, symbol);
      if (!found) throw std::runtime_error("librdkafka at " + path + " has no " + symbol + "; version 2.3 or newer is needed");
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(found);
    };
    find(conf_new, "rd_kafka_conf_new");
    find(conf_destroy, "rd_kafka_conf_destroy");
    find(conf_set, "rd_kafka_conf_set");
    find(conf_set_opaque, "rd_kafka_conf_set_opaque");
    find(conf_set_log_cb, "rd_kafka_conf_set_log_cb");
    find(conf_set_error_cb, "rd_kafka_conf_set_error_cb");
    find(make, "rd_kafka_new");
    find(destroy, "rd_kafka_destroy_flags");
    find(opaque, "rd_kafka_opaque");
    find(poll, "rd_kafka_poll");
    find(text, "rd_kafka_err2str");
    find(queue_consumer, "rd_kafka_queue_get_consumer");
    find(queue_new, "rd_kafka_queue_new");
    find(queue_destroy, "rd_kafka_queue_destroy");
    find(queue_poll, "rd_kafka_queue_poll");
    find(event_destroy, "rd_kafka_event_destroy");
    find(event_error, "rd_kafka_event_error");
    find(event_describe, "rd_kafka_event_DescribeTopics_result");
    find(consume_batch, "rd_kafka_consume_batch_queue");
    find(message_destroy, "rd_kafka_message_destroy");
    find(message_timestamp, "rd_kafka_message_timestamp");
    find(message_errstr, "rd_kafka_message_errstr");
    find(list_new, "rd_kafka_topic_partition_list_new");
    find(list_add, "rd_kafka_topic_partition_list_add");
    find(list_destroy, "rd_kafka_topic_partition_list_destroy");
    find(incremental_assign, "rd_kafka_incremental_assign");
    find(failure_code, "rd_kafka_error_code");
    find(failure_string, "rd_kafka_error_string");
    find(failure_destroy, "rd_kafka_error_destroy");
    find(commit, "rd_kafka_commit_queue");
    find(query_watermarks, "rd_kafka_query_watermark_offsets");
    find(get_watermarks, "rd_kafka_get_watermark_offsets");
    find(topic_names, "rd_kafka_TopicCollection_of_topic_names");
    find(topic_names_destroy, "rd_kafka_TopicCollection_destroy");
    find(admin_options, "rd_kafka_AdminOptions_new");
    find(admin_timeout, "rd_kafka_AdminOptions_set_request_timeout");
    find(admin_options_destroy, "rd_kafka_AdminOptions_destroy");
    find(describe_topics, "rd_kafka_DescribeTopics");
    find(described, "rd_kafka_DescribeTopics_result_topics");
    find(description_error, "rd_kafka_TopicDescription_error");
    find(description_id, "rd_kafka_TopicDescription_topic_id");
    find(topic_new, "rd_kafka_topic_new");
    find(topic_destroy, "rd_kafka_topic_destroy");
    find(metadata, "rd_kafka_metadata");
    find(metadata_destroy, "rd_kafka_metadata_destroy");
    find(uuid_high, "rd_kafka_Uuid_most_significant_bits");
    find(uuid_low, "rd_kafka_Uuid_least_significant_bits");
  }

  // One per process and path.
  static const Library& at(const std::string& path) {
    static const Library library(path);
    return library;
  }
};

}  // namespace headwater::kafka
