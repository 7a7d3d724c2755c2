; ModuleID = 'TVMMod'
source_filename = "TVMMod"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-conda-linux-gnu"

@.str = private constant [10 x i8] c"TypeError\00", align 1
@.str.1 = private constant [10 x i8] c"Expected \00", align 1
@.str.2 = private constant [2 x i8] c"3\00", align 1
@.str.3 = private constant [11 x i8] c" arguments\00", align 1
@.str.4 = private constant [19 x i8] c" when calling:\0A  `\00", align 1
@.str.5 = private constant [238 x i8] c"main(x: Tensor([T.int64(1), T.int64(16), T.int64(4), T.int64(6)], float32), param_0: Tensor([T.int64(16), T.int64(1), T.int64(1)], float32), pixel_shuffle_intermediate: Tensor([T.int64(1), T.int64(1), T.int64(16), T.int64(24)], float32))\00", align 1
@.str.6 = private constant [2 x i8] c"`\00", align 1
@.str.7 = private constant [21 x i8] c"args pointer is NULL\00", align 1
@.str.8 = private constant [30 x i8] c"Mismatched type on argument #\00", align 1
@.str.9 = private constant [2 x i8] c"0\00", align 1
@.str.10 = private constant [15 x i8] c"`,\0A  expected \00", align 1
@.str.11 = private constant [7 x i8] c"Tensor\00", align 1
@.str.12 = private constant [2 x i8] c"1\00", align 1
@.str.13 = private constant [2 x i8] c"2\00", align 1
@.str.14 = private constant [11 x i8] c"ValueError\00", align 1
@.str.15 = private constant [12 x i8] c"Mismatched \00", align 1
@.str.16 = private constant [2 x i8] c"x\00", align 1
@.str.17 = private constant [20 x i8] c".ndim on argument #\00", align 1
@.str.18 = private constant [2 x i8] c"4\00", align 1
@.str.19 = private constant [21 x i8] c".dtype on argument #\00", align 1
@.str.20 = private constant [8 x i8] c"float32\00", align 1
@.str.21 = private constant [27 x i8] c".device_type on argument #\00", align 1
@.str.22 = private constant [4 x i8] c"cpu\00", align 1
@.str.23 = private constant [8 x i8] c"param_0\00", align 1
@.str.24 = private constant [27 x i8] c"pixel_shuffle_intermediate\00", align 1
@.str.25 = private constant [23 x i8] c".strides on argument #\00", align 1
@.str.26 = private constant [34 x i8] c"`,\0A  expected to be compact array\00", align 1
@.str.27 = private constant [36 x i8] c" data pointer is NULL on argument #\00", align 1
@.str.28 = private constant [36 x i8] c"`,\0A  expected non-NULL data pointer\00", align 1
@.str.29 = private constant [18 x i8] c"param_0.device_id\00", align 1
@.str.30 = private constant [15 x i8] c" on argument #\00", align 1
@.str.31 = private constant [24 x i8] c"`,\0A  expected to match \00", align 1
@.str.32 = private constant [12 x i8] c"x.device_id\00", align 1
@.str.33 = private constant [37 x i8] c"pixel_shuffle_intermediate.device_id\00", align 1
@.str.34 = private constant [9 x i8] c"Invalid \00", align 1
@.str.35 = private constant [11 x i8] c"x.shape[0]\00", align 1
@.str.36 = private constant [11 x i8] c"x.shape[1]\00", align 1
@.str.37 = private constant [3 x i8] c"16\00", align 1
@.str.38 = private constant [11 x i8] c"x.shape[2]\00", align 1
@.str.39 = private constant [11 x i8] c"x.shape[3]\00", align 1
@.str.40 = private constant [2 x i8] c"6\00", align 1
@.str.41 = private constant [14 x i8] c"x.byte_offset\00", align 1
@.str.42 = private constant [17 x i8] c"param_0.shape[0]\00", align 1
@.str.43 = private constant [17 x i8] c"param_0.shape[1]\00", align 1
@.str.44 = private constant [17 x i8] c"param_0.shape[2]\00", align 1
@.str.45 = private constant [20 x i8] c"param_0.byte_offset\00", align 1
@.str.46 = private constant [36 x i8] c"pixel_shuffle_intermediate.shape[0]\00", align 1
@.str.47 = private constant [36 x i8] c"pixel_shuffle_intermediate.shape[1]\00", align 1
@.str.48 = private constant [36 x i8] c"pixel_shuffle_intermediate.shape[2]\00", align 1
@.str.49 = private constant [36 x i8] c"pixel_shuffle_intermediate.shape[3]\00", align 1
@.str.50 = private constant [3 x i8] c"24\00", align 1
@.str.51 = private constant [39 x i8] c"pixel_shuffle_intermediate.byte_offset\00", align 1
@llvm.global_ctors = appending global [0 x { i32, ptr, ptr }] zeroinitializer

define dllexport range(i32 -1, 1) i32 @__tvm_ffi_main(ptr noalias readnone captures(none) %self_handle, ptr noalias readonly captures(address_is_null) %args, i32 %num_args, ptr noalias readnone captures(none) %result) local_unnamed_addr #0 !dbg !5 {
entry:
    #dbg_value(ptr %self_handle, !11, !DIExpression(), !15)
    #dbg_value(ptr %args, !12, !DIExpression(), !15)
    #dbg_value(i32 %num_args, !13, !DIExpression(), !15)
    #dbg_value(ptr %result, !14, !DIExpression(), !15)
  %0 = icmp eq i32 %num_args, 3, !dbg !15
  br i1 %0, label %assert_end, label %assert_fail, !dbg !15, !prof !16

common.ret:                                       ; preds = %assert_end88, %assert_fail87, %assert_fail85, %assert_fail83, %assert_fail81, %assert_fail79, %assert_fail77, %assert_fail75, %assert_fail73, %assert_fail71, %assert_fail69, %assert_fail67, %assert_fail65, %assert_fail63, %assert_fail61, %assert_fail59, %assert_fail57, %assert_fail55, %assert_fail51, %assert_fail49, %assert_fail47, %assert_fail43, %assert_fail41, %assert_fail37, %assert_fail35, %assert_fail33, %assert_fail31, %assert_fail29, %assert_fail27, %assert_fail25, %assert_fail23, %assert_fail21, %assert_fail19, %assert_fail17, %assert_fail15, %assert_fail10, %assert_fail5, %assert_fail3, %assert_fail1, %assert_fail
  %common.ret.op = phi i32 [ -1, %assert_fail ], [ -1, %assert_fail1 ], [ -1, %assert_fail3 ], [ -1, %assert_fail5 ], [ -1, %assert_fail10 ], [ -1, %assert_fail15 ], [ -1, %assert_fail17 ], [ -1, %assert_fail19 ], [ -1, %assert_fail21 ], [ -1, %assert_fail23 ], [ -1, %assert_fail25 ], [ -1, %assert_fail27 ], [ -1, %assert_fail29 ], [ -1, %assert_fail31 ], [ -1, %assert_fail33 ], [ -1, %assert_fail35 ], [ -1, %assert_fail37 ], [ -1, %assert_fail41 ], [ -1, %assert_fail43 ], [ -1, %assert_fail47 ], [ -1, %assert_fail49 ], [ -1, %assert_fail51 ], [ -1, %assert_fail55 ], [ -1, %assert_fail57 ], [ -1, %assert_fail59 ], [ -1, %assert_fail61 ], [ -1, %assert_fail63 ], [ -1, %assert_fail65 ], [ -1, %assert_fail67 ], [ -1, %assert_fail69 ], [ -1, %assert_fail71 ], [ -1, %assert_fail73 ], [ -1, %assert_fail75 ], [ -1, %assert_fail77 ], [ -1, %assert_fail79 ], [ -1, %assert_fail81 ], [ -1, %assert_fail83 ], [ -1, %assert_fail85 ], [ -1, %assert_fail87 ], [ 0, %assert_end88 ]
  ret i32 %common.ret.op, !dbg !15

assert_fail:                                      ; preds = %entry
  tail call fastcc void @__tvm_set_raised_6(ptr nonnull @.str, i32 6, ptr nonnull @.str.1, ptr nonnull @.str.2, ptr nonnull @.str.3, ptr nonnull @.str.4, ptr nonnull @.str.5, ptr nonnull @.str.6), !dbg !15
  br label %common.ret, !dbg !15

assert_end:                                       ; preds = %entry
  %.not = icmp eq ptr %args, null, !dbg !15
  br i1 %.not, label %assert_fail1, label %assert_end2, !dbg !15, !prof !17

assert_fail1:                                     ; preds = %assert_end
  tail call fastcc void @__tvm_set_raised_6(ptr nonnull @.str, i32 4, ptr nonnull @.str.7, ptr nonnull @.str.4, ptr nonnull @.str.5, ptr nonnull @.str.6, ptr null, ptr null), !dbg !15
  br label %common.ret, !dbg !15

assert_end2:                                      ; preds = %assert_end
  %x.type_index = load i32, ptr %args, align 4, !dbg !15
    #dbg_value(i32 %x.type_index, !18, !DIExpression(), !15)
    #dbg_value(i32 %x.type_index, !18, !DIExpression(), !15)
  %x.type_index.fr = freeze i32 %x.type_index, !dbg !15
  %1 = icmp sgt i32 %x.type_index.fr, 63, !dbg !15
  br i1 %1, label %assert_end4, label %switch.early.test, !dbg !15

switch.early.test:                                ; preds = %assert_end2
  switch i32 %x.type_index.fr, label %assert_fail3 [
    i32 0, label %if_else
    i32 4, label %if_else
    i32 7, label %if_else
  ], !dbg !15, !prof !19

assert_fail3:                                     ; preds = %switch.early.test
  tail call fastcc void @__tvm_set_raised_6(ptr nonnull @.str, i32 6, ptr nonnull @.str.8, ptr nonnull @.str.9, ptr nonnull @.str.4, ptr nonnull @.str.5, ptr nonnull @.str.10, ptr nonnull @.str.11), !dbg !15
  br label %common.ret, !dbg !15

assert_end4:                                      ; preds = %assert_end2
  %2 = icmp eq i32 %x.type_index.fr, 70, !dbg !15
  br i1 %2, label %if_then, label %if_else, !dbg !15

if_then:                                          ; preds = %assert_end4
  %3 = getelementptr inbounds nuw i8, ptr %args, i64 8, !dbg !15
  %4 = load ptr, ptr %3, align 8, !dbg !15
  %5 = getelementptr inbounds nuw i8, ptr %4, i64 24, !dbg !15
  br label %if_end, !dbg !15

if_else:                                          ; preds = %switch.early.test, %switch.early.test, %switch.early.test, %assert_end4
  %6 = getelementptr inbounds nuw i8, ptr %args, i64 8, !dbg !15
  %7 = load ptr, ptr %6, align 8, !dbg !15
  br label %if_end, !dbg !15

if_end:                                           ; preds = %if_else, %if_then
  %x.handle = phi ptr [ %5, %if_then ], [ %7, %if_else ], !dbg !15
    #dbg_declare(ptr %x.handle, !20, !DIExpression(), !15)
    #dbg_declare(ptr %x.handle, !20, !DIExpression(), !15)
  %8 = getelementptr inbounds nuw i8, ptr %args, i64 16, !dbg !15
  %param_0.type_index = load i32, ptr %8, align 4, !dbg !15
    #dbg_value(i32 %param_0.type_index, !21, !DIExpression(), !15)
    #dbg_value(i32 %param_0.type_index, !21, !DIExpression(), !15)
  %param_0.type_index.fr = freeze i32 %param_0.type_index, !dbg !15
  %9 = icmp sgt i32 %param_0.type_index.fr, 63, !dbg !15
  br i1 %9, label %assert_end6, label %switch.early.test89, !dbg !15

switch.early.test89:                              ; preds = %if_end
  switch i32 %param_0.type_index.fr, label %assert_fail5 [
    i32 0, label %if_else8
    i32 4, label %if_else8
    i32 7, label %if_else8
  ], !dbg !15, !prof !19

assert_fail5:                                     ; preds = %switch.early.test89
  tail call fastcc void @__tvm_set_raised_6(ptr nonnull @.str, i32 6, ptr nonnull @.str.8, ptr nonnull @.str.12, ptr nonnull @.str.4, ptr nonnull @.str.5, ptr nonnull @.str.10, ptr nonnull @.str.11), !dbg !15
  br label %common.ret, !dbg !15

assert_end6:                                      ; preds = %if_end
  %10 = icmp eq i32 %param_0.type_index.fr, 70, !dbg !15
  br i1 %10, label %if_then7, label %if_else8, !dbg !15

if_then7:                                         ; preds = %assert_end6
  %11 = getelementptr inbounds nuw i8, ptr %args, i64 24, !dbg !15
  %12 = load ptr, ptr %11, align 8, !dbg !15
  %13 = getelementptr inbounds nuw i8, ptr %12, i64 24, !dbg !15
  br label %if_end9, !dbg !15

if_else8:                                         ; preds = %switch.early.test89, %switch.early.test89, %switch.early.test89, %assert_end6
  %14 = getelementptr inbounds nuw i8, ptr %args, i64 24, !dbg !15
  %15 = load ptr, ptr %14, align 8, !dbg !15
  br label %if_end9, !dbg !15

if_end9:                                          ; preds = %if_else8, %if_then7
  %param_0.handle = phi ptr [ %13, %if_then7 ], [ %15, %if_else8 ], !dbg !15
    #dbg_declare(ptr %param_0.handle, !22, !DIExpression(), !15)
    #dbg_declare(ptr %param_0.handle, !22, !DIExpression(), !15)
  %16 = getelementptr inbounds nuw i8, ptr %args, i64 32, !dbg !15
  %pixel_shuffle_intermediate.type_index = load i32, ptr %16, align 4, !dbg !15
    #dbg_value(i32 %pixel_shuffle_intermediate.type_index, !23, !DIExpression(), !15)
    #dbg_value(i32 %pixel_shuffle_intermediate.type_index, !23, !DIExpression(), !15)
  %pixel_shuffle_intermediate.type_index.fr = freeze i32 %pixel_shuffle_intermediate.type_index, !dbg !15
  %17 = icmp sgt i32 %pixel_shuffle_intermediate.type_index.fr, 63, !dbg !15
  br i1 %17, label %assert_end11, label %switch.early.test90, !dbg !15

switch.early.test90:                              ; preds = %if_end9
  switch i32 %pixel_shuffle_intermediate.type_index.fr, label %assert_fail10 [
    i32 0, label %if_else13
    i32 4, label %if_else13
    i32 7, label %if_else13
  ], !dbg !15, !prof !19

assert_fail10:                                    ; preds = %switch.early.test90
  tail call fastcc void @__tvm_set_raised_6(ptr nonnull @.str, i32 6, ptr nonnull @.str.8, ptr nonnull @.str.13, ptr nonnull @.str.4, ptr nonnull @.str.5, ptr nonnull @.str.10, ptr nonnull @.str.11), !dbg !15
  br label %common.ret, !dbg !15

assert_end11:                                     ; preds = %if_end9
  %18 = icmp eq i32 %pixel_shuffle_intermediate.type_index.fr, 70, !dbg !15
  br i1 %18, label %if_then12, label %if_else13, !dbg !15

if_then12:                                        ; preds = %assert_end11
  %19 = getelementptr inbounds nuw i8, ptr %args, i64 40, !dbg !15
  %20 = load ptr, ptr %19, align 8, !dbg !15
  %21 = getelementptr inbounds nuw i8, ptr %20, i64 24, !dbg !15
  br label %if_end14, !dbg !15

if_else13:                                        ; preds = %switch.early.test90, %switch.early.test90, %switch.early.test90, %assert_end11
  %22 = getelementptr inbounds nuw i8, ptr %args, i64 40, !dbg !15
  %23 = load ptr, ptr %22, align 8, !dbg !15
  br label %if_end14, !dbg !15

if_end14:                                         ; preds = %if_else13, %if_then12
  %pixel_shuffle_intermediate.handle = phi ptr [ %21, %if_then12 ], [ %23, %if_else13 ], !dbg !15
    #dbg_declare(ptr %pixel_shuffle_intermediate.handle, !24, !DIExpression(), !15)
    #dbg_declare(ptr %pixel_shuffle_intermediate.handle, !24, !DIExpression(), !15)
  %.not91 = icmp eq ptr %x.handle, null, !dbg !15
  br i1 %.not91, label %assert_fail15, label %assert_end16, !dbg !15, !prof !17

assert_fail15:                                    ; preds = %if_end14
  tail call fastcc void @__tvm_set_raised_6(ptr nonnull @.str, i32 6, ptr nonnull @.str.8, ptr nonnull @.str.9, ptr nonnull @.str.4, ptr nonnull @.str.5, ptr nonnull @.str.10, ptr nonnull @.str.11), !dbg !15
  br label %common.ret, !dbg !15

assert_end16:                                     ; preds = %if_end14
  %24 = getelementptr inbounds nuw i8, ptr %x.handle, i64 16, !dbg !15
  %25 = load i32, ptr %24, align 4, !dbg !15
  %26 = icmp eq i32 %25, 4, !dbg !15
  br i1 %26, label %assert_end18, label %assert_fail17, !dbg !15, !prof !16

assert_fail17:                                    ; preds = %assert_end16
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.15, ptr nonnull @.str.16, ptr nonnull @.str.17, ptr nonnull @.str.9, ptr nonnull @.str.10, ptr nonnull @.str.18), !dbg !15
  br label %common.ret, !dbg !15

assert_end18:                                     ; preds = %assert_end16
  %27 = getelementptr inbounds nuw i8, ptr %x.handle, i64 22, !dbg !15
  %28 = load i16, ptr %27, align 2, !dbg !15
  %29 = icmp eq i16 %28, 1, !dbg !15
  %30 = getelementptr inbounds nuw i8, ptr %x.handle, i64 21, !dbg !15
  %31 = load i8, ptr %30, align 1, !dbg !15
  %32 = icmp eq i8 %31, 32, !dbg !15
  %33 = getelementptr inbounds nuw i8, ptr %x.handle, i64 20, !dbg !15
  %34 = load i8, ptr %33, align 2, !dbg !15
  %35 = icmp eq i8 %34, 2, !dbg !15
  %36 = and i1 %32, %35, !dbg !15
  %37 = and i1 %29, %36, !dbg !15
  br i1 %37, label %assert_end20, label %assert_fail19, !dbg !15, !prof !16

assert_fail19:                                    ; preds = %assert_end18
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str, i32 8, ptr nonnull @.str.15, ptr nonnull @.str.16, ptr nonnull @.str.19, ptr nonnull @.str.9, ptr nonnull @.str.10, ptr nonnull @.str.20), !dbg !15
  br label %common.ret, !dbg !15

assert_end20:                                     ; preds = %assert_end18
  %38 = getelementptr inbounds nuw i8, ptr %x.handle, i64 24, !dbg !15
  %main.x_shape = load ptr, ptr %38, align 8, !dbg !15
    #dbg_declare(ptr %main.x_shape, !25, !DIExpression(), !15)
    #dbg_declare(ptr %main.x_shape, !25, !DIExpression(), !15)
  %39 = getelementptr inbounds nuw i8, ptr %x.handle, i64 32, !dbg !15
  %main.x_strides = load ptr, ptr %39, align 8, !dbg !15
    #dbg_declare(ptr %main.x_strides, !28, !DIExpression(), !15)
    #dbg_declare(ptr %main.x_strides, !28, !DIExpression(), !15)
  %40 = getelementptr inbounds nuw i8, ptr %x.handle, i64 8, !dbg !15
  %41 = load i32, ptr %40, align 8, !dbg !15
  %42 = icmp eq i32 %41, 1, !dbg !15
  br i1 %42, label %assert_end22, label %assert_fail21, !dbg !15, !prof !16

assert_fail21:                                    ; preds = %assert_end20
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.15, ptr nonnull @.str.16, ptr nonnull @.str.21, ptr nonnull @.str.9, ptr nonnull @.str.10, ptr nonnull @.str.22), !dbg !15
  br label %common.ret, !dbg !15

assert_end22:                                     ; preds = %assert_end20
  %43 = getelementptr inbounds nuw i8, ptr %x.handle, i64 12, !dbg !15
  %dev_id = load i32, ptr %43, align 4, !dbg !15
    #dbg_value(i32 %dev_id, !29, !DIExpression(), !15)
    #dbg_value(i32 %dev_id, !29, !DIExpression(), !15)
  %.not92 = icmp eq ptr %param_0.handle, null, !dbg !15
  br i1 %.not92, label %assert_fail23, label %assert_end24, !dbg !15, !prof !17

assert_fail23:                                    ; preds = %assert_end22
  tail call fastcc void @__tvm_set_raised_6(ptr nonnull @.str, i32 6, ptr nonnull @.str.8, ptr nonnull @.str.12, ptr nonnull @.str.4, ptr nonnull @.str.5, ptr nonnull @.str.10, ptr nonnull @.str.11), !dbg !15
  br label %common.ret, !dbg !15

assert_end24:                                     ; preds = %assert_end22
  %44 = getelementptr inbounds nuw i8, ptr %param_0.handle, i64 16, !dbg !15
  %45 = load i32, ptr %44, align 4, !dbg !15
  %46 = icmp eq i32 %45, 3, !dbg !15
  br i1 %46, label %assert_end26, label %assert_fail25, !dbg !15, !prof !16

assert_fail25:                                    ; preds = %assert_end24
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.15, ptr nonnull @.str.23, ptr nonnull @.str.17, ptr nonnull @.str.12, ptr nonnull @.str.10, ptr nonnull @.str.2), !dbg !15
  br label %common.ret, !dbg !15

assert_end26:                                     ; preds = %assert_end24
  %47 = getelementptr inbounds nuw i8, ptr %param_0.handle, i64 22, !dbg !15
  %48 = load i16, ptr %47, align 2, !dbg !15
  %49 = icmp eq i16 %48, 1, !dbg !15
  %50 = getelementptr inbounds nuw i8, ptr %param_0.handle, i64 21, !dbg !15
  %51 = load i8, ptr %50, align 1, !dbg !15
  %52 = icmp eq i8 %51, 32, !dbg !15
  %53 = getelementptr inbounds nuw i8, ptr %param_0.handle, i64 20, !dbg !15
  %54 = load i8, ptr %53, align 2, !dbg !15
  %55 = icmp eq i8 %54, 2, !dbg !15
  %56 = and i1 %52, %55, !dbg !15
  %57 = and i1 %49, %56, !dbg !15
  br i1 %57, label %assert_end28, label %assert_fail27, !dbg !15, !prof !16

assert_fail27:                                    ; preds = %assert_end26
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str, i32 8, ptr nonnull @.str.15, ptr nonnull @.str.23, ptr nonnull @.str.19, ptr nonnull @.str.12, ptr nonnull @.str.10, ptr nonnull @.str.20), !dbg !15
  br label %common.ret, !dbg !15

assert_end28:                                     ; preds = %assert_end26
  %58 = getelementptr inbounds nuw i8, ptr %param_0.handle, i64 24, !dbg !15
  %main.param_0_shape = load ptr, ptr %58, align 8, !dbg !15
    #dbg_declare(ptr %main.param_0_shape, !30, !DIExpression(), !15)
    #dbg_declare(ptr %main.param_0_shape, !30, !DIExpression(), !15)
  %59 = getelementptr inbounds nuw i8, ptr %param_0.handle, i64 32, !dbg !15
  %main.param_0_strides = load ptr, ptr %59, align 8, !dbg !15
    #dbg_declare(ptr %main.param_0_strides, !31, !DIExpression(), !15)
    #dbg_declare(ptr %main.param_0_strides, !31, !DIExpression(), !15)
  %60 = getelementptr inbounds nuw i8, ptr %param_0.handle, i64 8, !dbg !15
  %61 = load i32, ptr %60, align 8, !dbg !15
  %62 = icmp eq i32 %61, 1, !dbg !15
  br i1 %62, label %assert_end30, label %assert_fail29, !dbg !15, !prof !16

assert_fail29:                                    ; preds = %assert_end28
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.15, ptr nonnull @.str.23, ptr nonnull @.str.21, ptr nonnull @.str.12, ptr nonnull @.str.10, ptr nonnull @.str.22), !dbg !15
  br label %common.ret, !dbg !15

assert_end30:                                     ; preds = %assert_end28
  %.not93 = icmp eq ptr %pixel_shuffle_intermediate.handle, null, !dbg !15
  br i1 %.not93, label %assert_fail31, label %assert_end32, !dbg !15, !prof !17

assert_fail31:                                    ; preds = %assert_end30
  tail call fastcc void @__tvm_set_raised_6(ptr nonnull @.str, i32 6, ptr nonnull @.str.8, ptr nonnull @.str.13, ptr nonnull @.str.4, ptr nonnull @.str.5, ptr nonnull @.str.10, ptr nonnull @.str.11), !dbg !15
  br label %common.ret, !dbg !15

assert_end32:                                     ; preds = %assert_end30
  %63 = getelementptr inbounds nuw i8, ptr %pixel_shuffle_intermediate.handle, i64 16, !dbg !15
  %64 = load i32, ptr %63, align 4, !dbg !15
  %65 = icmp eq i32 %64, 4, !dbg !15
  br i1 %65, label %assert_end34, label %assert_fail33, !dbg !15, !prof !16

assert_fail33:                                    ; preds = %assert_end32
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.15, ptr nonnull @.str.24, ptr nonnull @.str.17, ptr nonnull @.str.13, ptr nonnull @.str.10, ptr nonnull @.str.18), !dbg !15
  br label %common.ret, !dbg !15

assert_end34:                                     ; preds = %assert_end32
  %66 = getelementptr inbounds nuw i8, ptr %pixel_shuffle_intermediate.handle, i64 22, !dbg !15
  %67 = load i16, ptr %66, align 2, !dbg !15
  %68 = icmp eq i16 %67, 1, !dbg !15
  %69 = getelementptr inbounds nuw i8, ptr %pixel_shuffle_intermediate.handle, i64 21, !dbg !15
  %70 = load i8, ptr %69, align 1, !dbg !15
  %71 = icmp eq i8 %70, 32, !dbg !15
  %72 = getelementptr inbounds nuw i8, ptr %pixel_shuffle_intermediate.handle, i64 20, !dbg !15
  %73 = load i8, ptr %72, align 2, !dbg !15
  %74 = icmp eq i8 %73, 2, !dbg !15
  %75 = and i1 %71, %74, !dbg !15
  %76 = and i1 %68, %75, !dbg !15
  br i1 %76, label %assert_end36, label %assert_fail35, !dbg !15, !prof !16

assert_fail35:                                    ; preds = %assert_end34
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str, i32 8, ptr nonnull @.str.15, ptr nonnull @.str.24, ptr nonnull @.str.19, ptr nonnull @.str.13, ptr nonnull @.str.10, ptr nonnull @.str.20), !dbg !15
  br label %common.ret, !dbg !15

assert_end36:                                     ; preds = %assert_end34
  %77 = getelementptr inbounds nuw i8, ptr %pixel_shuffle_intermediate.handle, i64 24, !dbg !15
  %main.pixel_shuffle_intermediate_shape = load ptr, ptr %77, align 8, !dbg !15
    #dbg_declare(ptr %main.pixel_shuffle_intermediate_shape, !32, !DIExpression(), !15)
    #dbg_declare(ptr %main.pixel_shuffle_intermediate_shape, !32, !DIExpression(), !15)
  %78 = getelementptr inbounds nuw i8, ptr %pixel_shuffle_intermediate.handle, i64 32, !dbg !15
  %main.pixel_shuffle_intermediate_strides = load ptr, ptr %78, align 8, !dbg !15
    #dbg_declare(ptr %main.pixel_shuffle_intermediate_strides, !33, !DIExpression(), !15)
    #dbg_declare(ptr %main.pixel_shuffle_intermediate_strides, !33, !DIExpression(), !15)
  %79 = getelementptr inbounds nuw i8, ptr %pixel_shuffle_intermediate.handle, i64 8, !dbg !15
  %80 = load i32, ptr %79, align 8, !dbg !15
  %81 = icmp eq i32 %80, 1, !dbg !15
  br i1 %81, label %assert_end38, label %assert_fail37, !dbg !15, !prof !16

assert_fail37:                                    ; preds = %assert_end36
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.15, ptr nonnull @.str.24, ptr nonnull @.str.21, ptr nonnull @.str.13, ptr nonnull @.str.10, ptr nonnull @.str.22), !dbg !15
  br label %common.ret, !dbg !15

assert_end38:                                     ; preds = %assert_end36
  %.not94 = icmp eq ptr %main.x_strides, null, !dbg !15
  br i1 %.not94, label %if_end40, label %if_then39, !dbg !15, !prof !17

if_then39:                                        ; preds = %assert_end38
  %82 = getelementptr inbounds nuw i8, ptr %main.x_strides, i64 8, !dbg !15
  %83 = load i64, ptr %82, align 8, !dbg !15
  %84 = icmp eq i64 %83, 24, !dbg !15
  %85 = getelementptr inbounds nuw i8, ptr %main.x_strides, i64 16, !dbg !15
  %86 = load i64, ptr %85, align 8, !dbg !15
  %87 = icmp eq i64 %86, 6, !dbg !15
  %88 = getelementptr inbounds nuw i8, ptr %main.x_strides, i64 24, !dbg !15
  %89 = load i64, ptr %88, align 8, !dbg !15
  %90 = icmp eq i64 %89, 1, !dbg !15
  %91 = and i1 %87, %90, !dbg !15
  %92 = and i1 %84, %91, !dbg !15
  br i1 %92, label %if_end40, label %assert_fail41, !dbg !15, !prof !16

if_end40:                                         ; preds = %if_then39, %assert_end38
  %93 = load ptr, ptr %x.handle, align 8, !dbg !15
  %.not95 = icmp eq ptr %93, null, !dbg !15
  br i1 %.not95, label %assert_fail43, label %assert_end44, !dbg !15, !prof !17

assert_fail41:                                    ; preds = %if_then39
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 7, ptr nonnull @.str.15, ptr nonnull @.str.16, ptr nonnull @.str.25, ptr nonnull @.str.9, ptr nonnull @.str.26, ptr null), !dbg !15
  br label %common.ret, !dbg !15

assert_fail43:                                    ; preds = %if_end40
  tail call fastcc void @__tvm_set_raised_6(ptr nonnull @.str.14, i32 6, ptr nonnull @.str.16, ptr nonnull @.str.27, ptr nonnull @.str.9, ptr nonnull @.str.4, ptr nonnull @.str.5, ptr nonnull @.str.28), !dbg !15
  br label %common.ret, !dbg !15

assert_end44:                                     ; preds = %if_end40
  %.not96 = icmp eq ptr %main.param_0_strides, null, !dbg !15
  br i1 %.not96, label %if_end46, label %if_then45, !dbg !15, !prof !17

if_then45:                                        ; preds = %assert_end44
  %94 = load i64, ptr %main.param_0_strides, align 8, !dbg !15
  %95 = icmp eq i64 %94, 1, !dbg !15
  br i1 %95, label %if_end46, label %assert_fail47, !dbg !15, !prof !16

if_end46:                                         ; preds = %if_then45, %assert_end44
  %96 = getelementptr inbounds nuw i8, ptr %param_0.handle, i64 12, !dbg !15
  %97 = load i32, ptr %96, align 4, !dbg !15
  %98 = icmp eq i32 %dev_id, %97, !dbg !15
  br i1 %98, label %assert_end50, label %assert_fail49, !dbg !15, !prof !16

assert_fail47:                                    ; preds = %if_then45
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 7, ptr nonnull @.str.15, ptr nonnull @.str.23, ptr nonnull @.str.25, ptr nonnull @.str.12, ptr nonnull @.str.26, ptr null), !dbg !15
  br label %common.ret, !dbg !15

assert_fail49:                                    ; preds = %if_end46
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.15, ptr nonnull @.str.29, ptr nonnull @.str.30, ptr nonnull @.str.12, ptr nonnull @.str.31, ptr nonnull @.str.32), !dbg !15
  br label %common.ret, !dbg !15

assert_end50:                                     ; preds = %if_end46
  %99 = load ptr, ptr %param_0.handle, align 8, !dbg !15
  %.not97 = icmp eq ptr %99, null, !dbg !15
  br i1 %.not97, label %assert_fail51, label %assert_end52, !dbg !15, !prof !17

assert_fail51:                                    ; preds = %assert_end50
  tail call fastcc void @__tvm_set_raised_6(ptr nonnull @.str.14, i32 6, ptr nonnull @.str.23, ptr nonnull @.str.27, ptr nonnull @.str.12, ptr nonnull @.str.4, ptr nonnull @.str.5, ptr nonnull @.str.28), !dbg !15
  br label %common.ret, !dbg !15

assert_end52:                                     ; preds = %assert_end50
  %.not98 = icmp eq ptr %main.pixel_shuffle_intermediate_strides, null, !dbg !15
  br i1 %.not98, label %if_end54, label %if_then53, !dbg !15, !prof !17

if_then53:                                        ; preds = %assert_end52
  %100 = getelementptr inbounds nuw i8, ptr %main.pixel_shuffle_intermediate_strides, i64 16, !dbg !15
  %101 = load i64, ptr %100, align 8, !dbg !15
  %102 = icmp eq i64 %101, 24, !dbg !15
  %103 = getelementptr inbounds nuw i8, ptr %main.pixel_shuffle_intermediate_strides, i64 24, !dbg !15
  %104 = load i64, ptr %103, align 8, !dbg !15
  %105 = icmp eq i64 %104, 1, !dbg !15
  %106 = and i1 %102, %105, !dbg !15
  br i1 %106, label %if_end54, label %assert_fail55, !dbg !15, !prof !16

if_end54:                                         ; preds = %if_then53, %assert_end52
  %107 = getelementptr inbounds nuw i8, ptr %pixel_shuffle_intermediate.handle, i64 12, !dbg !15
  %108 = load i32, ptr %107, align 4, !dbg !15
  %109 = icmp eq i32 %dev_id, %108, !dbg !15
  br i1 %109, label %assert_end58, label %assert_fail57, !dbg !15, !prof !16

assert_fail55:                                    ; preds = %if_then53
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 7, ptr nonnull @.str.15, ptr nonnull @.str.24, ptr nonnull @.str.25, ptr nonnull @.str.13, ptr nonnull @.str.26, ptr null), !dbg !15
  br label %common.ret, !dbg !15

assert_fail57:                                    ; preds = %if_end54
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.15, ptr nonnull @.str.33, ptr nonnull @.str.30, ptr nonnull @.str.13, ptr nonnull @.str.31, ptr nonnull @.str.32), !dbg !15
  br label %common.ret, !dbg !15

assert_end58:                                     ; preds = %if_end54
  %110 = load ptr, ptr %pixel_shuffle_intermediate.handle, align 8, !dbg !15
  %.not99 = icmp eq ptr %110, null, !dbg !15
  br i1 %.not99, label %assert_fail59, label %assert_end60, !dbg !15, !prof !17

assert_fail59:                                    ; preds = %assert_end58
  tail call fastcc void @__tvm_set_raised_6(ptr nonnull @.str.14, i32 6, ptr nonnull @.str.24, ptr nonnull @.str.27, ptr nonnull @.str.13, ptr nonnull @.str.4, ptr nonnull @.str.5, ptr nonnull @.str.28), !dbg !15
  br label %common.ret, !dbg !15

assert_end60:                                     ; preds = %assert_end58
  %111 = load i64, ptr %main.x_shape, align 8, !dbg !15
  %112 = icmp eq i64 %111, 1, !dbg !15
  br i1 %112, label %assert_end62, label %assert_fail61, !dbg !15, !prof !16

assert_fail61:                                    ; preds = %assert_end60
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.34, ptr nonnull @.str.35, ptr nonnull @.str.30, ptr nonnull @.str.9, ptr nonnull @.str.10, ptr nonnull @.str.12), !dbg !15
  br label %common.ret, !dbg !15

assert_end62:                                     ; preds = %assert_end60
  %113 = getelementptr inbounds nuw i8, ptr %main.x_shape, i64 8, !dbg !15
  %114 = load i64, ptr %113, align 8, !dbg !15
  %115 = icmp eq i64 %114, 16, !dbg !15
  br i1 %115, label %assert_end64, label %assert_fail63, !dbg !15, !prof !16

assert_fail63:                                    ; preds = %assert_end62
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.34, ptr nonnull @.str.36, ptr nonnull @.str.30, ptr nonnull @.str.9, ptr nonnull @.str.10, ptr nonnull @.str.37), !dbg !15
  br label %common.ret, !dbg !15

assert_end64:                                     ; preds = %assert_end62
  %116 = getelementptr inbounds nuw i8, ptr %main.x_shape, i64 16, !dbg !15
  %117 = load i64, ptr %116, align 8, !dbg !15
  %118 = icmp eq i64 %117, 4, !dbg !15
  br i1 %118, label %assert_end66, label %assert_fail65, !dbg !15, !prof !16

assert_fail65:                                    ; preds = %assert_end64
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.34, ptr nonnull @.str.38, ptr nonnull @.str.30, ptr nonnull @.str.9, ptr nonnull @.str.10, ptr nonnull @.str.18), !dbg !15
  br label %common.ret, !dbg !15

assert_end66:                                     ; preds = %assert_end64
  %119 = getelementptr inbounds nuw i8, ptr %main.x_shape, i64 24, !dbg !15
  %120 = load i64, ptr %119, align 8, !dbg !15
  %121 = icmp eq i64 %120, 6, !dbg !15
  br i1 %121, label %assert_end68, label %assert_fail67, !dbg !15, !prof !16

assert_fail67:                                    ; preds = %assert_end66
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.34, ptr nonnull @.str.39, ptr nonnull @.str.30, ptr nonnull @.str.9, ptr nonnull @.str.10, ptr nonnull @.str.40), !dbg !15
  br label %common.ret, !dbg !15

assert_end68:                                     ; preds = %assert_end66
  %122 = getelementptr inbounds nuw i8, ptr %x.handle, i64 40, !dbg !15
  %123 = load i64, ptr %122, align 8, !dbg !15
  %124 = icmp eq i64 %123, 0, !dbg !15
  br i1 %124, label %assert_end70, label %assert_fail69, !dbg !15, !prof !16

assert_fail69:                                    ; preds = %assert_end68
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.34, ptr nonnull @.str.41, ptr nonnull @.str.30, ptr nonnull @.str.9, ptr nonnull @.str.10, ptr nonnull @.str.9), !dbg !15
  br label %common.ret, !dbg !15

assert_end70:                                     ; preds = %assert_end68
  %125 = load i64, ptr %main.param_0_shape, align 8, !dbg !15
  %126 = icmp eq i64 %125, 16, !dbg !15
  br i1 %126, label %assert_end72, label %assert_fail71, !dbg !15, !prof !16

assert_fail71:                                    ; preds = %assert_end70
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.34, ptr nonnull @.str.42, ptr nonnull @.str.30, ptr nonnull @.str.12, ptr nonnull @.str.10, ptr nonnull @.str.37), !dbg !15
  br label %common.ret, !dbg !15

assert_end72:                                     ; preds = %assert_end70
  %127 = getelementptr inbounds nuw i8, ptr %main.param_0_shape, i64 8, !dbg !15
  %128 = load i64, ptr %127, align 8, !dbg !15
  %129 = icmp eq i64 %128, 1, !dbg !15
  br i1 %129, label %assert_end74, label %assert_fail73, !dbg !15, !prof !16

assert_fail73:                                    ; preds = %assert_end72
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.34, ptr nonnull @.str.43, ptr nonnull @.str.30, ptr nonnull @.str.12, ptr nonnull @.str.10, ptr nonnull @.str.12), !dbg !15
  br label %common.ret, !dbg !15

assert_end74:                                     ; preds = %assert_end72
  %130 = getelementptr inbounds nuw i8, ptr %main.param_0_shape, i64 16, !dbg !15
  %131 = load i64, ptr %130, align 8, !dbg !15
  %132 = icmp eq i64 %131, 1, !dbg !15
  br i1 %132, label %assert_end76, label %assert_fail75, !dbg !15, !prof !16

assert_fail75:                                    ; preds = %assert_end74
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.34, ptr nonnull @.str.44, ptr nonnull @.str.30, ptr nonnull @.str.12, ptr nonnull @.str.10, ptr nonnull @.str.12), !dbg !15
  br label %common.ret, !dbg !15

assert_end76:                                     ; preds = %assert_end74
  %133 = getelementptr inbounds nuw i8, ptr %param_0.handle, i64 40, !dbg !15
  %134 = load i64, ptr %133, align 8, !dbg !15
  %135 = icmp eq i64 %134, 0, !dbg !15
  br i1 %135, label %assert_end78, label %assert_fail77, !dbg !15, !prof !16

assert_fail77:                                    ; preds = %assert_end76
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.34, ptr nonnull @.str.45, ptr nonnull @.str.30, ptr nonnull @.str.12, ptr nonnull @.str.10, ptr nonnull @.str.9), !dbg !15
  br label %common.ret, !dbg !15

assert_end78:                                     ; preds = %assert_end76
  %136 = load i64, ptr %main.pixel_shuffle_intermediate_shape, align 8, !dbg !15
  %137 = icmp eq i64 %136, 1, !dbg !15
  br i1 %137, label %assert_end80, label %assert_fail79, !dbg !15, !prof !16

assert_fail79:                                    ; preds = %assert_end78
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.34, ptr nonnull @.str.46, ptr nonnull @.str.30, ptr nonnull @.str.13, ptr nonnull @.str.10, ptr nonnull @.str.12), !dbg !15
  br label %common.ret, !dbg !15

assert_end80:                                     ; preds = %assert_end78
  %138 = getelementptr inbounds nuw i8, ptr %main.pixel_shuffle_intermediate_shape, i64 8, !dbg !15
  %139 = load i64, ptr %138, align 8, !dbg !15
  %140 = icmp eq i64 %139, 1, !dbg !15
  br i1 %140, label %assert_end82, label %assert_fail81, !dbg !15, !prof !16

assert_fail81:                                    ; preds = %assert_end80
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.34, ptr nonnull @.str.47, ptr nonnull @.str.30, ptr nonnull @.str.13, ptr nonnull @.str.10, ptr nonnull @.str.12), !dbg !15
  br label %common.ret, !dbg !15

assert_end82:                                     ; preds = %assert_end80
  %141 = getelementptr inbounds nuw i8, ptr %main.pixel_shuffle_intermediate_shape, i64 16, !dbg !15
  %142 = load i64, ptr %141, align 8, !dbg !15
  %143 = icmp eq i64 %142, 16, !dbg !15
  br i1 %143, label %assert_end84, label %assert_fail83, !dbg !15, !prof !16

assert_fail83:                                    ; preds = %assert_end82
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.34, ptr nonnull @.str.48, ptr nonnull @.str.30, ptr nonnull @.str.13, ptr nonnull @.str.10, ptr nonnull @.str.37), !dbg !15
  br label %common.ret, !dbg !15

assert_end84:                                     ; preds = %assert_end82
  %144 = getelementptr inbounds nuw i8, ptr %main.pixel_shuffle_intermediate_shape, i64 24, !dbg !15
  %145 = load i64, ptr %144, align 8, !dbg !15
  %146 = icmp eq i64 %145, 24, !dbg !15
  br i1 %146, label %assert_end86, label %assert_fail85, !dbg !15, !prof !16

assert_fail85:                                    ; preds = %assert_end84
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.34, ptr nonnull @.str.49, ptr nonnull @.str.30, ptr nonnull @.str.13, ptr nonnull @.str.10, ptr nonnull @.str.50), !dbg !15
  br label %common.ret, !dbg !15

assert_end86:                                     ; preds = %assert_end84
  %147 = getelementptr inbounds nuw i8, ptr %pixel_shuffle_intermediate.handle, i64 40, !dbg !15
  %148 = load i64, ptr %147, align 8, !dbg !15
  %149 = icmp eq i64 %148, 0, !dbg !15
  br i1 %149, label %assert_end88, label %assert_fail87, !dbg !15, !prof !16

assert_fail87:                                    ; preds = %assert_end86
  tail call fastcc void @__tvm_set_raised_12(ptr nonnull @.str.14, i32 8, ptr nonnull @.str.34, ptr nonnull @.str.51, ptr nonnull @.str.30, ptr nonnull @.str.13, ptr nonnull @.str.10, ptr nonnull @.str.9), !dbg !15
  br label %common.ret, !dbg !15

assert_end88:                                     ; preds = %assert_end86
    #dbg_declare(ptr %93, !34, !DIExpression(), !15)
  call void @llvm.assume(i1 true) [ "align"(ptr %93, i64 64) ], !dbg !15
    #dbg_declare(ptr %99, !37, !DIExpression(), !15)
  call void @llvm.assume(i1 true) [ "align"(ptr %99, i64 64) ], !dbg !15
    #dbg_declare(ptr %110, !38, !DIExpression(), !15)
  call void @llvm.assume(i1 true) [ "align"(ptr %110, i64 64) ], !dbg !15
  tail call fastcc void @main_compute_(ptr nonnull %93, ptr nonnull %99, ptr nonnull %110), !dbg !15
  br label %common.ret, !dbg !15
}

; Function Attrs: noinline
define internal fastcc void @__tvm_set_raised_6(ptr %0, i32 range(i32 4, 7) %1, ptr %2, ptr %3, ptr %4, ptr %5, ptr %6, ptr %7) unnamed_addr #1 {
entry:
  %8 = alloca [6 x ptr], align 8
  store ptr %2, ptr %8, align 8
  %9 = getelementptr inbounds nuw i8, ptr %8, i64 8
  store ptr %3, ptr %9, align 8
  %10 = getelementptr inbounds nuw i8, ptr %8, i64 16
  store ptr %4, ptr %10, align 8
  %11 = getelementptr inbounds nuw i8, ptr %8, i64 24
  store ptr %5, ptr %11, align 8
  %12 = getelementptr inbounds nuw i8, ptr %8, i64 32
  store ptr %6, ptr %12, align 8
  %13 = getelementptr inbounds nuw i8, ptr %8, i64 40
  store ptr %7, ptr %13, align 8
  call void @TVMFFIErrorSetRaisedFromCStrParts(ptr %0, ptr nonnull %8, i32 %1)
  ret void
}

declare void @TVMFFIErrorSetRaisedFromCStrParts(ptr, ptr, i32) local_unnamed_addr

; Function Attrs: noinline
define internal fastcc void @__tvm_set_raised_12(ptr %0, i32 range(i32 7, 9) %1, ptr %2, ptr %3, ptr %4, ptr %5, ptr %6, ptr %7) unnamed_addr #1 {
entry:
  %8 = alloca [12 x ptr], align 8
  store ptr %2, ptr %8, align 8
  %9 = getelementptr inbounds nuw i8, ptr %8, i64 8
  store ptr %3, ptr %9, align 8
  %10 = getelementptr inbounds nuw i8, ptr %8, i64 16
  store ptr %4, ptr %10, align 8
  %11 = getelementptr inbounds nuw i8, ptr %8, i64 24
  store ptr %5, ptr %11, align 8
  %12 = getelementptr inbounds nuw i8, ptr %8, i64 32
  store ptr @.str.4, ptr %12, align 8
  %13 = getelementptr inbounds nuw i8, ptr %8, i64 40
  store ptr @.str.5, ptr %13, align 8
  %14 = getelementptr inbounds nuw i8, ptr %8, i64 48
  store ptr %6, ptr %14, align 8
  %15 = getelementptr inbounds nuw i8, ptr %8, i64 56
  store ptr %7, ptr %15, align 8
  %16 = getelementptr inbounds nuw i8, ptr %8, i64 64
  call void @llvm.memset.p0.i64(ptr noundef nonnull align 8 dereferenceable(32) %16, i8 0, i64 32, i1 false)
  call void @TVMFFIErrorSetRaisedFromCStrParts(ptr %0, ptr nonnull %8, i32 %1)
  ret void
}

; Function Attrs: mustprogress nocallback nofree nosync nounwind willreturn memory(inaccessiblemem: write)
declare void @llvm.assume(i1 noundef) #2

; Function Attrs: nofree noinline norecurse nosync nounwind memory(argmem: readwrite, inaccessiblemem: write)
define internal fastcc void @main_compute_(ptr noalias readonly align 64 captures(none) %x, ptr noalias readonly align 64 captures(none) %param_0, ptr noalias writeonly align 64 captures(none) %pixel_shuffle_intermediate) unnamed_addr #3 !dbg !39 {
entry:
    #dbg_declare(ptr %x, !46, !DIExpression(), !47)
    #dbg_value(ptr %x, !43, !DIExpression(), !47)
    #dbg_value(ptr %param_0, !44, !DIExpression(), !47)
    #dbg_value(ptr %pixel_shuffle_intermediate, !45, !DIExpression(), !47)
  call void @llvm.assume(i1 true) [ "align"(ptr %x, i64 64) ], !dbg !47
    #dbg_declare(ptr %param_0, !48, !DIExpression(), !47)
  call void @llvm.assume(i1 true) [ "align"(ptr %param_0, i64 64) ], !dbg !47
    #dbg_declare(ptr %pixel_shuffle_intermediate, !49, !DIExpression(), !47)
  call void @llvm.assume(i1 true) [ "align"(ptr %pixel_shuffle_intermediate, i64 64) ], !dbg !47
    #dbg_value(i32 0, !50, !DIExpression(), !47)
  %wide.vec = load <16 x float>, ptr %param_0, align 64, !tbaa !51
  %strided.vec = shufflevector <16 x float> %wide.vec, <16 x float> poison, <4 x i32> <i32 0, i32 4, i32 8, i32 12>
  %strided.vec3 = shufflevector <16 x float> %wide.vec, <16 x float> poison, <4 x i32> <i32 1, i32 5, i32 9, i32 13>
  %strided.vec4 = shufflevector <16 x float> %wide.vec, <16 x float> poison, <4 x i32> <i32 2, i32 6, i32 10, i32 14>
  %strided.vec5 = shufflevector <16 x float> %wide.vec, <16 x float> poison, <4 x i32> <i32 3, i32 7, i32 11, i32 15>
  %wide.vec21 = load <16 x float>, ptr %param_0, align 64, !tbaa !51
  %strided.vec22 = shufflevector <16 x float> %wide.vec21, <16 x float> poison, <4 x i32> <i32 0, i32 4, i32 8, i32 12>
  %strided.vec23 = shufflevector <16 x float> %wide.vec21, <16 x float> poison, <4 x i32> <i32 1, i32 5, i32 9, i32 13>
  %strided.vec24 = shufflevector <16 x float> %wide.vec21, <16 x float> poison, <4 x i32> <i32 2, i32 6, i32 10, i32 14>
  %strided.vec25 = shufflevector <16 x float> %wide.vec21, <16 x float> poison, <4 x i32> <i32 3, i32 7, i32 11, i32 15>
  br label %vector.body, !dbg !47

vector.body:                                      ; preds = %entry, %vector.body
  %indvars.iv8 = phi i64 [ 0, %entry ], [ %indvars.iv.next9, %vector.body ]
    #dbg_value(i64 %indvars.iv8, !50, !DIExpression(), !47)
    #dbg_value(i32 0, !54, !DIExpression(), !47)
  %0 = mul nuw nsw i64 %indvars.iv8, 96
  %broadcast.splatinsert1 = insertelement <4 x i64> poison, i64 %0, i64 0
  %broadcast.splat2 = shufflevector <4 x i64> %broadcast.splatinsert1, <4 x i64> poison, <4 x i32> zeroinitializer
  %1 = mul nuw nsw i64 %indvars.iv8, 6
  %broadcast.splatinsert = insertelement <4 x i64> poison, i64 %1, i64 0
  %broadcast.splat = shufflevector <4 x i64> %broadcast.splatinsert, <4 x i64> poison, <4 x i32> zeroinitializer
  %2 = add nuw nsw <4 x i64> %broadcast.splat, <i64 0, i64 96, i64 192, i64 288>
  %3 = add nuw nsw <4 x i64> %broadcast.splat2, <i64 0, i64 24, i64 48, i64 72>
  %4 = getelementptr inbounds nuw float, ptr %x, <4 x i64> %2, !dbg !47
  %wide.masked.gather = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %4, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %5 = fadd <4 x float> %strided.vec, %wide.masked.gather, !dbg !47
  %6 = getelementptr inbounds nuw float, ptr %pixel_shuffle_intermediate, <4 x i64> %3, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %5, <4 x ptr> align 4 %6, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %7 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 96, !dbg !47
  %wide.masked.gather6 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %7, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %8 = fadd <4 x float> %strided.vec3, %wide.masked.gather6, !dbg !47
  %9 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 4, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %8, <4 x ptr> align 4 %9, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %10 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 192, !dbg !47
  %wide.masked.gather7 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %10, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %11 = fadd <4 x float> %strided.vec4, %wide.masked.gather7, !dbg !47
  %12 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 8, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %11, <4 x ptr> align 4 %12, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %13 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 288, !dbg !47
  %wide.masked.gather8 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %13, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %14 = fadd <4 x float> %strided.vec5, %wide.masked.gather8, !dbg !47
  %15 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 12, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %14, <4 x ptr> align 4 %15, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %16 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 4, !dbg !47
  %wide.masked.gather9 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %16, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %17 = fadd <4 x float> %strided.vec, %wide.masked.gather9, !dbg !47
  %18 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 16, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %17, <4 x ptr> align 4 %18, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %19 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 100, !dbg !47
  %wide.masked.gather10 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %19, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %20 = fadd <4 x float> %strided.vec3, %wide.masked.gather10, !dbg !47
  %21 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 20, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %20, <4 x ptr> align 4 %21, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %22 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 196, !dbg !47
  %wide.masked.gather11 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %22, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %23 = fadd <4 x float> %strided.vec4, %wide.masked.gather11, !dbg !47
  %24 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 24, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %23, <4 x ptr> align 4 %24, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %25 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 292, !dbg !47
  %wide.masked.gather12 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %25, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %26 = fadd <4 x float> %strided.vec5, %wide.masked.gather12, !dbg !47
  %27 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 28, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %26, <4 x ptr> align 4 %27, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %28 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 8, !dbg !47
  %wide.masked.gather13 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %28, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %29 = fadd <4 x float> %strided.vec, %wide.masked.gather13, !dbg !47
  %30 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 32, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %29, <4 x ptr> align 4 %30, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %31 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 104, !dbg !47
  %wide.masked.gather14 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %31, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %32 = fadd <4 x float> %strided.vec3, %wide.masked.gather14, !dbg !47
  %33 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 36, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %32, <4 x ptr> align 4 %33, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %34 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 200, !dbg !47
  %wide.masked.gather15 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %34, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %35 = fadd <4 x float> %strided.vec4, %wide.masked.gather15, !dbg !47
  %36 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 40, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %35, <4 x ptr> align 4 %36, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %37 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 296, !dbg !47
  %wide.masked.gather16 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %37, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %38 = fadd <4 x float> %strided.vec5, %wide.masked.gather16, !dbg !47
  %39 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 44, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %38, <4 x ptr> align 4 %39, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %40 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 12, !dbg !47
  %wide.masked.gather17 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %40, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %41 = fadd <4 x float> %strided.vec, %wide.masked.gather17, !dbg !47
  %42 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 48, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %41, <4 x ptr> align 4 %42, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %43 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 108, !dbg !47
  %wide.masked.gather18 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %43, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %44 = fadd <4 x float> %strided.vec3, %wide.masked.gather18, !dbg !47
  %45 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 52, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %44, <4 x ptr> align 4 %45, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %46 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 204, !dbg !47
  %wide.masked.gather19 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %46, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %47 = fadd <4 x float> %strided.vec4, %wide.masked.gather19, !dbg !47
  %48 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 56, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %47, <4 x ptr> align 4 %48, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %49 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 300, !dbg !47
  %wide.masked.gather20 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %49, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %50 = fadd <4 x float> %strided.vec5, %wide.masked.gather20, !dbg !47
  %51 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 60, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %50, <4 x ptr> align 4 %51, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %52 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 16, !dbg !47
  %wide.masked.gather26 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %52, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %53 = fadd <4 x float> %strided.vec22, %wide.masked.gather26, !dbg !47
  %54 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 64, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %53, <4 x ptr> align 4 %54, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %55 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 112, !dbg !47
  %wide.masked.gather27 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %55, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %56 = fadd <4 x float> %strided.vec23, %wide.masked.gather27, !dbg !47
  %57 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 68, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %56, <4 x ptr> align 4 %57, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %58 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 208, !dbg !47
  %wide.masked.gather28 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %58, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %59 = fadd <4 x float> %strided.vec24, %wide.masked.gather28, !dbg !47
  %60 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 72, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %59, <4 x ptr> align 4 %60, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %61 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 304, !dbg !47
  %wide.masked.gather29 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %61, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %62 = fadd <4 x float> %strided.vec25, %wide.masked.gather29, !dbg !47
  %63 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 76, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %62, <4 x ptr> align 4 %63, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %64 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 20, !dbg !47
  %wide.masked.gather30 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %64, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %65 = fadd <4 x float> %strided.vec22, %wide.masked.gather30, !dbg !47
  %66 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 80, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %65, <4 x ptr> align 4 %66, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %67 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 116, !dbg !47
  %wide.masked.gather31 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %67, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %68 = fadd <4 x float> %strided.vec23, %wide.masked.gather31, !dbg !47
  %69 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 84, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %68, <4 x ptr> align 4 %69, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %70 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 212, !dbg !47
  %wide.masked.gather32 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %70, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %71 = fadd <4 x float> %strided.vec24, %wide.masked.gather32, !dbg !47
  %72 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 88, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %71, <4 x ptr> align 4 %72, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %73 = getelementptr inbounds nuw i8, <4 x ptr> %4, i64 308, !dbg !47
  %wide.masked.gather33 = tail call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %73, <4 x i1> splat (i1 true), <4 x float> poison), !dbg !47, !tbaa !55
  %74 = fadd <4 x float> %strided.vec25, %wide.masked.gather33, !dbg !47
  %75 = getelementptr inbounds nuw i8, <4 x ptr> %6, i64 92, !dbg !47
  tail call void @llvm.masked.scatter.v4f32.v4p0(<4 x float> %74, <4 x ptr> align 4 %75, <4 x i1> splat (i1 true)), !dbg !47, !tbaa !57
  %indvars.iv.next9 = add nuw nsw i64 %indvars.iv8, 1, !dbg !47
    #dbg_value(i64 %indvars.iv.next9, !50, !DIExpression(), !47)
  %exitcond11.not = icmp eq i64 %indvars.iv.next9, 4, !dbg !47
  br i1 %exitcond11.not, label %for_end_v0_i_p, label %vector.body, !dbg !47, !prof !59

for_end_v0_i_p:                                   ; preds = %vector.body
  ret void, !dbg !47
}

; Function Attrs: nofree nosync nounwind memory(none)
define weak dso_local half @__truncsfhf2(float %a0) local_unnamed_addr #4 section ".text.tvm.fp16.conv" {
b0:
  %v0 = bitcast float %a0 to i32
  %0 = tail call float @llvm.fabs.f32(float %a0)
  %v1 = bitcast float %0 to i32
  %v2 = add nsw i32 %v1, -947912704
  %v3 = add nsw i32 %v1, -1199570944
  %v4 = icmp ult i32 %v2, %v3
  br i1 %v4, label %b1, label %b5

b1:                                               ; preds = %b0
  %v5 = lshr i32 %v0, 13
  %v7 = add nsw i32 %v5, -114688
  %v8 = and i32 %v0, 8191
  %v9 = icmp samesign ugt i32 %v8, 4096
  br i1 %v9, label %b2, label %b3

b2:                                               ; preds = %b1
  %v10 = add nsw i32 %v5, -114687
  br label %b13

b3:                                               ; preds = %b1
  %v11 = icmp eq i32 %v8, 4096
  br i1 %v11, label %b4, label %b13

b4:                                               ; preds = %b3
  %v13 = and i32 %v5, 1
  %v14 = add nsw i32 %v7, %v13
  br label %b13

b5:                                               ; preds = %b0
  %v15 = icmp samesign ugt i32 %v1, 2139095040
  br i1 %v15, label %b6, label %b7

b6:                                               ; preds = %b5
  %v16 = lshr i32 %v0, 13
  %v17 = and i32 %v16, 511
  %v18 = or disjoint i32 %v17, 32256
  br label %b13

b7:                                               ; preds = %b5
  %v19 = icmp samesign ugt i32 %v1, 1199570943
  br i1 %v19, label %b13, label %b8

b8:                                               ; preds = %b7
  %v20 = icmp samesign ult i32 %v1, 754974720
  br i1 %v20, label %b13, label %b9

b9:                                               ; preds = %b8
  %v21 = lshr i32 %v1, 23
  %v22 = sub nsw i32 113, %v21
  %v23 = and i32 %v0, 8388607
  %v24 = or disjoint i32 %v23, 8388608
  %v25 = add nsw i32 %v21, -81
  %v26 = shl i32 %v24, %v25
  %v27 = icmp ne i32 %v26, 0
  %v28 = lshr i32 %v24, %v22
  %v29 = zext i1 %v27 to i32
  %v30 = lshr i32 %v28, 13
  %v31 = and i32 %v28, 8191
  %v32 = or i32 %v31, %v29
  %v33 = icmp samesign ugt i32 %v32, 4096
  br i1 %v33, label %b10, label %b11

b10:                                              ; preds = %b9
  %v34 = add nuw nsw i32 %v30, 1
  br label %b13

b11:                                              ; preds = %b9
  %v35 = icmp eq i32 %v32, 4096
  br i1 %v35, label %b12, label %b13

b12:                                              ; preds = %b11
  %v36 = and i32 %v30, 1
  %v37 = add nuw nsw i32 %v36, %v30
  br label %b13

b13:                                              ; preds = %b12, %b11, %b10, %b8, %b7, %b6, %b4, %b3, %b2
  %v38 = phi i32 [ %v18, %b6 ], [ %v10, %b2 ], [ %v14, %b4 ], [ %v7, %b3 ], [ 31744, %b7 ], [ 0, %b8 ], [ %v34, %b10 ], [ %v37, %b12 ], [ %v30, %b11 ]
  %v39 = lshr i32 %v0, 16
  %v40 = and i32 %v39, 32768
  %v41 = or i32 %v38, %v40
  %vlast = trunc i32 %v41 to i16
  %vres = bitcast i16 %vlast to half
  ret half %vres
}

; Function Attrs: nofree nosync nounwind memory(none)
define weak dso_local float @__extendhfsf2(half %a0) local_unnamed_addr #4 section ".text.tvm.fp16.conv" {
b0:
  %0 = tail call half @llvm.fabs.f16(half %a0)
  %v1 = bitcast half %0 to i16
  %v2 = zext nneg i16 %v1 to i32
  %v3 = add nsw i16 %v1, -1024
  %v4 = icmp ult i16 %v3, 30720
  br i1 %v4, label %b1, label %b2

b1:                                               ; preds = %b0
  %v5 = shl nuw nsw i32 %v2, 13
  %v6 = add nuw nsw i32 %v5, 939524096
  br label %b6

b2:                                               ; preds = %b0
  %v7 = icmp samesign ugt i16 %v1, 31743
  br i1 %v7, label %b3, label %b4

b3:                                               ; preds = %b2
  %v8 = shl nuw nsw i32 %v2, 13
  %v9 = or i32 %v8, 2139095040
  br label %b6

b4:                                               ; preds = %b2
  %v10 = icmp eq i16 %v1, 0
  br i1 %v10, label %b6, label %b5

b5:                                               ; preds = %b4
  %v11 = icmp samesign ult i16 %v1, 256
  %v12 = lshr i32 %v2, 8
  %v13 = select i1 %v11, i32 %v2, i32 %v12
  %v14 = select i1 %v11, i32 32, i32 24
  %v15 = icmp samesign ult i32 %v13, 16
  %v16 = lshr i32 %v13, 4
  %v17 = add nsw i32 %v14, -4
  %v18 = select i1 %v15, i32 %v13, i32 %v16
  %v19 = select i1 %v15, i32 %v14, i32 %v17
  %v20 = icmp samesign ult i32 %v18, 4
  %v21 = lshr i32 %v18, 2
  %v22 = add nsw i32 %v19, -2
  %v23 = select i1 %v20, i32 %v18, i32 %v21
  %v24 = select i1 %v20, i32 %v19, i32 %v22
  %v25 = icmp samesign ult i32 %v23, 2
  %v26 = sub nsw i32 0, %v23
  %v27 = select i1 %v25, i32 %v26, i32 -2
  %v28 = add nsw i32 %v27, %v24
  %v29 = add nsw i32 %v28, -8
  %v30 = shl i32 %v2, %v29
  %v31 = xor i32 %v30, 8388608
  %v32 = shl i32 %v28, 23
  %v33 = sub i32 1124073472, %v32
  %v34 = or i32 %v31, %v33
  br label %b6

b6:                                               ; preds = %b5, %b4, %b3, %b1
  %v35 = phi i32 [ %v6, %b1 ], [ %v9, %b3 ], [ %v34, %b5 ], [ 0, %b4 ]
  %vinp = bitcast half %a0 to i16
  %v36 = and i16 %vinp, -32768
  %v37 = zext i16 %v36 to i32
  %v38 = shl nuw i32 %v37, 16
  %v39 = or i32 %v35, %v38
  %v40 = bitcast i32 %v39 to float
  ret float %v40
}

; Function Attrs: nocallback nocreateundeforpoison nofree nosync nounwind speculatable willreturn memory(none)
declare float @llvm.fabs.f32(float) #5

; Function Attrs: nocallback nocreateundeforpoison nofree nosync nounwind speculatable willreturn memory(none)
declare half @llvm.fabs.f16(half) #5

; Function Attrs: nocallback nofree nounwind willreturn memory(argmem: write)
declare void @llvm.memset.p0.i64(ptr writeonly captures(none), i8, i64, i1 immarg) #6

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(read)
declare <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr>, <4 x i1>, <4 x float>) #7

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(write)
declare void @llvm.masked.scatter.v4f32.v4p0(<4 x float>, <4 x ptr>, <4 x i1>) #8

attributes #0 = { "target-cpu"="emeraldrapids" }
attributes #1 = { noinline }
attributes #2 = { mustprogress nocallback nofree nosync nounwind willreturn memory(inaccessiblemem: write) }
attributes #3 = { nofree noinline norecurse nosync nounwind memory(argmem: readwrite, inaccessiblemem: write) "target-cpu"="emeraldrapids" }
attributes #4 = { nofree nosync nounwind memory(none) "target-cpu"="emeraldrapids" "target-features" }
attributes #5 = { nocallback nocreateundeforpoison nofree nosync nounwind speculatable willreturn memory(none) }
attributes #6 = { nocallback nofree nounwind willreturn memory(argmem: write) }
attributes #7 = { nocallback nofree nosync nounwind willreturn memory(read) }
attributes #8 = { nocallback nofree nosync nounwind willreturn memory(write) }

!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2, !3, !4}

!0 = distinct !DICompileUnit(language: DW_LANG_C, file: !1, producer: "TVM", isOptimized: false, runtimeVersion: 0, emissionKind: FullDebug)
!1 = !DIFile(filename: "IRModule.CodeGenLLVM", directory: ".")
!2 = !{i32 2, !"tvm_target", !"{\22kind\22:\22llvm\22,\22mtriple\22:\22x86_64-conda-linux-gnu\22,\22mcpu\22:\22emeraldrapids\22}"}
!3 = !{i32 4, !"Debug Info Version", i32 3}
!4 = !{i32 4, !"Dwarf Version", i32 4}
!5 = distinct !DISubprogram(name: "__tvm_ffi_main", scope: !1, file: !1, type: !6, flags: DIFlagPrototyped, spFlags: DISPFlagLocalToUnit | DISPFlagDefinition | DISPFlagOptimized, unit: !0, retainedNodes: !10)
!6 = !DISubroutineType(types: !7)
!7 = !{!8, !9, !9, !8, !9}
!8 = !DIBasicType(name: "int32", size: 32, encoding: DW_ATE_signed)
!9 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: null)
!10 = !{!11, !12, !13, !14}
!11 = !DILocalVariable(name: "self_handle", arg: 1, scope: !5, file: !1, type: !9)
!12 = !DILocalVariable(name: "args", arg: 2, scope: !5, file: !1, type: !9)
!13 = !DILocalVariable(name: "num_args", arg: 3, scope: !5, file: !1, type: !8)
!14 = !DILocalVariable(name: "result", arg: 4, scope: !5, file: !1, type: !9)
!15 = !DILocation(line: 0, scope: !5)
!16 = !{!"branch_weights", i32 1048576, i32 1}
!17 = !{!"branch_weights", i32 1, i32 1048576}
!18 = !DILocalVariable(name: "x.type_index", scope: !5, file: !1, type: !8)
!19 = !{!"branch_weights", i32 1, i32 349525, i32 349525, i32 349525}
!20 = !DILocalVariable(name: "x.handle", scope: !5, file: !1, type: !9)
!21 = !DILocalVariable(name: "param_0.type_index", scope: !5, file: !1, type: !8)
!22 = !DILocalVariable(name: "param_0.handle", scope: !5, file: !1, type: !9)
!23 = !DILocalVariable(name: "pixel_shuffle_intermediate.type_index", scope: !5, file: !1, type: !8)
!24 = !DILocalVariable(name: "pixel_shuffle_intermediate.handle", scope: !5, file: !1, type: !9)
!25 = !DILocalVariable(name: "main.x_shape", scope: !5, file: !1, type: !26)
!26 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !27)
!27 = !DIBasicType(name: "int64", size: 64, encoding: DW_ATE_signed)
!28 = !DILocalVariable(name: "main.x_strides", scope: !5, file: !1, type: !26)
!29 = !DILocalVariable(name: "dev_id", scope: !5, file: !1, type: !8)
!30 = !DILocalVariable(name: "main.param_0_shape", scope: !5, file: !1, type: !26)
!31 = !DILocalVariable(name: "main.param_0_strides", scope: !5, file: !1, type: !26)
!32 = !DILocalVariable(name: "main.pixel_shuffle_intermediate_shape", scope: !5, file: !1, type: !26)
!33 = !DILocalVariable(name: "main.pixel_shuffle_intermediate_strides", scope: !5, file: !1, type: !26)
!34 = !DILocalVariable(name: "x", scope: !5, file: !1, type: !35)
!35 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !36)
!36 = !DIBasicType(name: "float32", size: 32, encoding: DW_ATE_float)
!37 = !DILocalVariable(name: "param_0", scope: !5, file: !1, type: !35)
!38 = !DILocalVariable(name: "pixel_shuffle_intermediate", scope: !5, file: !1, type: !35)
!39 = distinct !DISubprogram(name: "main_compute_", scope: !1, file: !1, type: !40, flags: DIFlagPrototyped, spFlags: DISPFlagLocalToUnit | DISPFlagDefinition | DISPFlagOptimized, unit: !0, retainedNodes: !42)
!40 = !DISubroutineType(cc: DW_CC_nocall, types: !41)
!41 = !{!8, !35, !35, !35}
!42 = !{!43, !44, !45}
!43 = !DILocalVariable(name: "x", arg: 1, scope: !39, file: !1, type: !35)
!44 = !DILocalVariable(name: "param_0", arg: 2, scope: !39, file: !1, type: !35)
!45 = !DILocalVariable(name: "pixel_shuffle_intermediate", arg: 3, scope: !39, file: !1, type: !35)
!46 = !DILocalVariable(name: "x", scope: !39, file: !1, type: !35)
!47 = !DILocation(line: 0, scope: !39)
!48 = !DILocalVariable(name: "param_0", scope: !39, file: !1, type: !35)
!49 = !DILocalVariable(name: "pixel_shuffle_intermediate", scope: !39, file: !1, type: !35)
!50 = !DILocalVariable(name: "v0_i_p", scope: !39, file: !1, type: !8)
!51 = !{!52, !52, i64 0}
!52 = !{!"0x5614f5ba9ea0", !53, i64 0}
!53 = !{!"tvm-tbaa"}
!54 = !DILocalVariable(name: "v0_i_q", scope: !39, file: !1, type: !8)
!55 = !{!56, !56, i64 0}
!56 = !{!"0x5614f5ba9f60", !53, i64 0}
!57 = !{!58, !58, i64 0}
!58 = !{!"0x5614f5ba9f20", !53, i64 0}
!59 = !{!"branch_weights", i32 1, i32 1048575}
