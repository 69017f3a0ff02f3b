# Checks the direction of includes. FOLDERS: the folders of SOURCES, from the lowest to the highest. A file may
# include only headers of its own folder and of the folders before it.
#   cmake -D SOURCES=src -D "FOLDERS=core;simd;…" -P check_includes.cmake
cmake_minimum_required(VERSION 3.25)

file(GLOB found RELATIVE "${SOURCES}" "${SOURCES}/*")
foreach(folder IN LISTS found)
  if(IS_DIRECTORY "${SOURCES}/${folder}" AND NOT folder IN_LIST FOLDERS)
    list(JOIN FOLDERS ", " expected)
    message(FATAL_ERROR "src has the folder ${folder}; expected one of ${expected} (src/CMakeLists.txt)")
  endif()
endforeach()

set(allowed)
foreach(folder IN LISTS FOLDERS)
  list(APPEND allowed ${folder})
  file(GLOB files "${SOURCES}/${folder}/*.?pp")
  foreach(file IN LISTS files)
    file(STRINGS "${file}" includes REGEX "^#include \"")
    foreach(include IN LISTS includes)
      string(REGEX MATCH "\"([^/\"]*)" match "${include}")
      if(NOT CMAKE_MATCH_1 IN_LIST allowed)
        list(JOIN allowed ", " expected)
        message(FATAL_ERROR "${file} has ${include}; expected a header of ${expected}")
      endif()
    endforeach()
  endforeach()
endforeach()
