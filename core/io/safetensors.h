/*
 * Safetensors files: one, or shards named by model.safetensors.index.json.
 *
 *   | u64 little-endian: header length N | N bytes of JSON | tensor data |
 *   header: {"name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},…,"__metadata__":{…}}
 *
 * Everything is checked against the file before any memory is taken for data:
 * dtypes, shapes, products without overflow, offsets without holes, overlaps or
 * trailing bytes, no name twice.
 */
#ifndef ATT_IO_SAFETENSORS_H
#define ATT_IO_SAFETENSORS_H

#include "core/io/weights.h"

/* Opens `single` ("model.safetensors") or, when it is absent, `single`.index.json and its shards. */
enum att_status att_safetensors_open(const struct att_dir *dir, const char *single, struct att_weights *ret_weights,
                                     struct att_err *err) ATT_MUST_USE;

#endif
