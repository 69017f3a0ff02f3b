// How Embind begins, in place of libembind's bind.cpp, which the linker leaves out where these functions are there: with
// the types that our bindings pass. Its own registers three dozen and, without run-time type information, prints their
// names by sprintf: 7 KB of the download.

#include <emscripten/bind.h>

#include <cstring>
#include <limits>

#include "core/index.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::memory_view;
using emscripten::internal::TypeID;

/// The numbers that Embind's JavaScript has for typed arrays.
enum TypedArray : unsigned {
  kUint8Array = 1,
  kInt32Array = 4,
  kFloat32Array = 6,
  kFloat64Array = 7
};

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

/// Asked for the message where JavaScript meets a type that is not registered, and freed there.
const char* __getTypeName(const std::type_info* /*type*/) { return strdup("unknown type"); }

/// Bindings register themselves where they are made, once: threads run no JavaScript of ours and need none.
void _embind_register_bindings(emscripten::internal::InitFunc* /*bindings*/) {}
void _embind_initialize_bindings() {}
}
