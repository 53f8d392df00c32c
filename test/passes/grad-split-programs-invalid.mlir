// RUN: gradopt %s --grad-split-programs=part-size=0 --verify-diagnostics

// expected-error @below {{expected option 'part-size' to be positive, but got 0}}
module {}
