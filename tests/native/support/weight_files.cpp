#include "support/weight_files.hpp"

namespace cross_attention::test {

File fileWithHeaderLength(std::uint64_t length, std::string_view header, std::size_t dataBytes) {
  File file;
  for (int byte = 0; byte < 8; ++byte) file.push_back(static_cast<std::byte>(length >> (8 * byte)));
  for (const char character : header) file.push_back(static_cast<std::byte>(character));
  for (std::size_t byte = 0; byte < dataBytes; ++byte) file.push_back(static_cast<std::byte>(byte));
  return file;
}

File makeFile(std::string_view header, std::size_t dataBytes) {
  return fileWithHeaderLength(header.size(), header, dataBytes);
}

template <class T>
File saveLayer(const layer::DiffusionCrossAttention<T>& layer, const std::string& dtype,
               const std::string& prefix) {
  std::vector<weights::NamedValues<T>> all;
  for (const layer::ParameterId id : layer.parameters().layout().ids()) {
    all.push_back({prefix + std::string(layer::nameOf(id)), layer.parameters().shape(id),
                   layer.parameters().values(id)});
  }
  return weights::writeSafetensors<T>(std::span<const weights::NamedValues<T>>(all), dtype);
}

template File saveLayer(const layer::DiffusionCrossAttention<float>&, const std::string&, const std::string&);
template File saveLayer(const layer::DiffusionCrossAttention<double>&, const std::string&,
                        const std::string&);

}  // namespace cross_attention::test
