// Registers the types that our bindings pass. Replaces libembind's bind.cpp, which the linker omits if these
// functions are defined: it registers three dozen types and, without run-time type information, formats their
// names by sprintf, which costs 7 KB of the download.

#include <emscripten/bind.h>

#include <cstring>
#include <limits>

#include "core/index.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::memory_view;
using emscripten::internal::TypeID;

/// Embind's numbers for typed arrays.
enum TypedArray : unsigned { kUint8Array = 1, kInt32Array = 4, kFloat32Array = 6, kFloat64Array = 7 };

template <class T>
void registerInteger(const char* name) {
  using Limits = std::numeric_limits<T>;
  emscripten::internal::_embind_register_integer(TypeID<T>::get(), name, sizeof(T), Limits::min(),
                                                 Limits::max());
}

template <class T>
void registerView(TypedArray array) {
  emscripten::internal::_embind_register_memory_view(TypeID<memory_view<T>>::get(), array, "view");
}

}  // namespace

EMSCRIPTEN_BINDINGS(builtin_types) {
  using namespace emscripten::internal;
  _embind_register_void(TypeID<void>::get(), "void");
  _embind_register_bool(TypeID<bool>::get(), "bool", true, false);
  registerInteger<int>("int");
  registerInteger<std::size_t>("size");
  _embind_register_float(TypeID<double>::get(), "double", sizeof(double));
  _embind_register_std_string(TypeID<std::string>::get(), "string");
  _embind_register_emval(TypeID<emscripten::val>::get());
  registerView<unsigned char>(kUint8Array);
  registerView<Index>(kInt32Array);
  registerView<float>(kFloat32Array);
  registerView<double>(kFloat64Array);
}

}  // namespace cross_attention::embind

extern "C" {

/// Called for the error message if JavaScript meets an unregistered type. The caller frees the result.
const char* __getTypeName(const std::type_info* /*type*/) { return strdup("unknown type"); }

/// No-ops, because bindings register themselves in static initializers, once. Threads run none of our
/// JavaScript and need no bindings.
void _embind_register_bindings(emscripten::internal::InitFunc* /*bindings*/) {}
void _embind_initialize_bindings() {}
}
