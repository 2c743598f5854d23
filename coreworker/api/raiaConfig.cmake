# find_package(raia) gives raia::raia.
include("${CMAKE_CURRENT_LIST_DIR}/raiaTargets.cmake")
