# Without its tests, Coracle needs only the packages of tools/packages.txt.
option(BUILD_TESTING "Tests, which need the packages of tools/test-packages.txt" ON)
if(BUILD_TESTING)
    enable_testing()
    find_package(GTest REQUIRED)
endif()

# add_test_folder(FOLDER): add_subdirectory for a folder of nothing but tests.
function(add_test_folder folder)
    if(BUILD_TESTING)
        add_subdirectory(${folder})
    endif()
endfunction()

# add_host_test(NAME sources...): a GoogleTest program of pure kernel code, built for the host with
# address and undefined-behaviour sanitizers, and known to ctest.
function(add_host_test name)
    add_executable(${name} ${ARGN})
    target_compile_options(${name} PRIVATE -O1 -g -fsanitize=address,undefined
        -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${name} PRIVATE -fsanitize=address,undefined)
    target_link_libraries(${name} PRIVATE gtest gmock gtest_main pthread)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS host TIMEOUT 120)
endfunction()

# add_race_test(NAME sources...): the same with ThreadSanitizer, for code that several CPUs run at
# once. Model CPUs are in kernel-min/sched/tests/model_machine.h: link model_machine.
function(add_race_test name)
    add_executable(${name} ${ARGN})
    target_compile_options(${name} PRIVATE ${race_test_options})
    target_link_options(${name} PRIVATE -fsanitize=thread)
    target_link_libraries(${name} PRIVATE gtest gmock gtest_main pthread)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS host TIMEOUT 300)
endfunction()
set(race_test_options -O1 -g -fsanitize=thread -fno-omit-frame-pointer)
