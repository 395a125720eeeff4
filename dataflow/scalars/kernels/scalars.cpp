// The module `_scalars`: scalar functions of SQL where pyarrow.compute has none or other rules than PostgreSQL.
#include "dataflow/scalars/kernels/scalars.h"

NB_MODULE(_scalars, m) {
  using namespace headwater::scalars;
  m.doc() = "scalar functions over Arrow columns, by PostgreSQL's rules";
  add_comparison(m);
  add_arithmetic(m);
  add_casts(m);
  add_text_casts(m);
  add_text(m);
  add_time(m);
  add_json(m);
  add_intervals(m);
  add_math(m);
}
