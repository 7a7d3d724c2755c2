	.file	"TVMMod"
	.text
	.globl	__tvm_ffi_main
	.p2align	4
	.type	__tvm_ffi_main,@function
__tvm_ffi_main:
.Lfunc_begin0:
	.file	1 "." "IRModule.CodeGenLLVM"
	.loc	1 0 0
	.cfi_startproc
	pushq	%rbx
	.cfi_def_cfa_offset 16
	.cfi_offset %rbx, -16
	cmpl	$3, %edx
	jne	.LBB0_69
.Ltmp0:
	testq	%rsi, %rsi
	je	.LBB0_70
.Ltmp1:
	movl	(%rsi), %eax
.Ltmp2:
	cmpl	$63, %eax
	jle	.LBB0_7
.Ltmp3:
	cmpl	$70, %eax
	jne	.LBB0_9
.Ltmp4:
	movq	8(%rsi), %rax
.Ltmp5:
	addq	$24, %rax
	movl	16(%rsi), %ecx
.Ltmp6:
	cmpl	$63, %ecx
	jg	.LBB0_10
.Ltmp7:
.LBB0_5:
	cmpl	$7, %ecx
	ja	.LBB0_66
.Ltmp8:
	movl	$145, %edx
.Ltmp9:
	btl	%ecx, %edx
	jb	.LBB0_14
	jmp	.LBB0_66
.Ltmp10:
.LBB0_7:
	cmpl	$7, %eax
	ja	.LBB0_65
.Ltmp11:
	movl	$145, %ecx
.Ltmp12:
	btl	%eax, %ecx
	jae	.LBB0_65
.Ltmp13:
.LBB0_9:
	movq	8(%rsi), %rax
.Ltmp14:
	movl	16(%rsi), %ecx
.Ltmp15:
	cmpl	$63, %ecx
	jle	.LBB0_5
.Ltmp16:
.LBB0_10:
	cmpl	$70, %ecx
	jne	.LBB0_14
.Ltmp17:
	movq	24(%rsi), %rcx
	addq	$24, %rcx
	movl	32(%rsi), %edx
.Ltmp18:
	cmpl	$63, %edx
	jg	.LBB0_15
.Ltmp19:
.LBB0_12:
	cmpl	$7, %edx
	ja	.LBB0_67
.Ltmp20:
	movl	$145, %edi
.Ltmp21:
	btl	%edx, %edi
	jb	.LBB0_17
	jmp	.LBB0_67
.Ltmp22:
.LBB0_14:
	movq	24(%rsi), %rcx
	movl	32(%rsi), %edx
.Ltmp23:
	cmpl	$63, %edx
	jle	.LBB0_12
.Ltmp24:
.LBB0_15:
	cmpl	$70, %edx
	jne	.LBB0_17
.Ltmp25:
	movq	40(%rsi), %r8
	addq	$24, %r8
	jmp	.LBB0_18
.Ltmp26:
.LBB0_17:
	movq	40(%rsi), %r8
.Ltmp27:
.LBB0_18:
	testq	%rax, %rax
	je	.LBB0_65
.Ltmp28:
	cmpl	$4, 16(%rax)
	jne	.LBB0_71
.Ltmp29:
	cmpw	$1, 22(%rax)
	jne	.LBB0_72
.Ltmp30:
	cmpb	$32, 21(%rax)
	jne	.LBB0_72
.Ltmp31:
	cmpb	$2, 20(%rax)
	jne	.LBB0_72
.Ltmp32:
	cmpl	$1, 8(%rax)
	jne	.LBB0_73
.Ltmp33:
	testq	%rcx, %rcx
	je	.LBB0_66
.Ltmp34:
	cmpl	$3, 16(%rcx)
	jne	.LBB0_74
.Ltmp35:
	cmpw	$1, 22(%rcx)
	jne	.LBB0_75
.Ltmp36:
	cmpb	$32, 21(%rcx)
	jne	.LBB0_75
.Ltmp37:
	cmpb	$2, 20(%rcx)
	jne	.LBB0_75
.Ltmp38:
	cmpl	$1, 8(%rcx)
	jne	.LBB0_76
.Ltmp39:
	testq	%r8, %r8
	je	.LBB0_67
.Ltmp40:
	cmpl	$4, 16(%r8)
	jne	.LBB0_77
.Ltmp41:
	cmpw	$1, 22(%r8)
	jne	.LBB0_78
.Ltmp42:
	cmpb	$32, 21(%r8)
	jne	.LBB0_78
.Ltmp43:
	cmpb	$2, 20(%r8)
	jne	.LBB0_78
.Ltmp44:
	cmpl	$1, 8(%r8)
	jne	.LBB0_79
.Ltmp45:
	movq	24(%rax), %r11
.Ltmp46:
	movq	32(%rax), %rdi
.Ltmp47:
	movl	12(%rax), %edx
.Ltmp48:
	movq	24(%rcx), %r10
.Ltmp49:
	movq	32(%rcx), %rsi
.Ltmp50:
	movq	24(%r8), %r9
.Ltmp51:
	movq	32(%r8), %rbx
.Ltmp52:
	testq	%rdi, %rdi
	je	.LBB0_40
.Ltmp53:
	cmpq	$24, 8(%rdi)
	jne	.LBB0_81
.Ltmp54:
	cmpq	$6, 16(%rdi)
	jne	.LBB0_81
.Ltmp55:
	cmpq	$1, 24(%rdi)
	jne	.LBB0_81
.Ltmp56:
.LBB0_40:
	movq	(%rax), %rdi
.Ltmp57:
	testq	%rdi, %rdi
	je	.LBB0_80
.Ltmp58:
	testq	%rsi, %rsi
	je	.LBB0_43
.Ltmp59:
	cmpq	$1, (%rsi)
	jne	.LBB0_82
.Ltmp60:
.LBB0_43:
	cmpl	12(%rcx), %edx
	jne	.LBB0_83
.Ltmp61:
	movq	(%rcx), %rsi
.Ltmp62:
	testq	%rsi, %rsi
	je	.LBB0_84
.Ltmp63:
	testq	%rbx, %rbx
	je	.LBB0_48
.Ltmp64:
	cmpq	$24, 16(%rbx)
	jne	.LBB0_86
.Ltmp65:
	cmpq	$1, 24(%rbx)
	jne	.LBB0_86
.Ltmp66:
.LBB0_48:
	cmpl	12(%r8), %edx
	jne	.LBB0_85
.Ltmp67:
	movq	(%r8), %rdx
.Ltmp68:
	testq	%rdx, %rdx
	je	.LBB0_88
.Ltmp69:
	cmpq	$1, (%r11)
	jne	.LBB0_92
.Ltmp70:
	cmpq	$16, 8(%r11)
	jne	.LBB0_93
.Ltmp71:
	cmpq	$4, 16(%r11)
	jne	.LBB0_94
.Ltmp72:
	cmpq	$6, 24(%r11)
	jne	.LBB0_95
.Ltmp73:
	cmpq	$0, 40(%rax)
	jne	.LBB0_97
.Ltmp74:
	cmpq	$16, (%r10)
	jne	.LBB0_98
.Ltmp75:
	cmpq	$1, 8(%r10)
	jne	.LBB0_99
.Ltmp76:
	cmpq	$1, 16(%r10)
	jne	.LBB0_100
.Ltmp77:
	cmpq	$0, 40(%rcx)
	jne	.LBB0_104
.Ltmp78:
	cmpq	$1, (%r9)
	jne	.LBB0_107
.Ltmp79:
	cmpq	$1, 8(%r9)
	jne	.LBB0_108
.Ltmp80:
	cmpq	$16, 16(%r9)
	jne	.LBB0_109
.Ltmp81:
	cmpq	$24, 24(%r9)
	jne	.LBB0_110
.Ltmp82:
	cmpq	$0, 40(%r8)
	jne	.LBB0_111
.Ltmp83:
	callq	main_compute_
.Ltmp84:
	xorl	%eax, %eax
	popq	%rbx
.Ltmp85:
	.cfi_def_cfa_offset 8
	retq
.Ltmp86:
.LBB0_65:
	.cfi_def_cfa_offset 16
	leaq	.L.str.11(%rip), %rax
	leaq	.L.str.10(%rip), %r10
	leaq	.L.str(%rip), %rdi
	leaq	.L.str.8(%rip), %rdx
	leaq	.L.str.9(%rip), %rcx
	jmp	.LBB0_68
.Ltmp87:
.LBB0_66:
	leaq	.L.str.11(%rip), %rax
	leaq	.L.str.10(%rip), %r10
	leaq	.L.str(%rip), %rdi
	leaq	.L.str.8(%rip), %rdx
	leaq	.L.str.12(%rip), %rcx
	jmp	.LBB0_68
.Ltmp88:
.LBB0_67:
	leaq	.L.str.11(%rip), %rax
	leaq	.L.str.10(%rip), %r10
	leaq	.L.str(%rip), %rdi
	leaq	.L.str.8(%rip), %rdx
	leaq	.L.str.13(%rip), %rcx
.Ltmp89:
.LBB0_68:
	leaq	.L.str.4(%rip), %r8
	leaq	.L.str.5(%rip), %r9
	jmp	.LBB0_90
.Ltmp90:
.LBB0_69:
	leaq	.L.str.6(%rip), %rax
	leaq	.L.str.5(%rip), %r10
	leaq	.L.str(%rip), %rdi
.Ltmp91:
	leaq	.L.str.1(%rip), %rdx
.Ltmp92:
	leaq	.L.str.2(%rip), %rcx
.Ltmp93:
	leaq	.L.str.3(%rip), %r8
	jmp	.LBB0_89
.Ltmp94:
.LBB0_70:
	subq	$16, %rsp
	.cfi_adjust_cfa_offset 16
	vxorps	%xmm0, %xmm0, %xmm0
	vmovups	%xmm0, (%rsp)
	leaq	.L.str(%rip), %rdi
.Ltmp95:
	leaq	.L.str.7(%rip), %rdx
.Ltmp96:
	leaq	.L.str.4(%rip), %rcx
.Ltmp97:
	leaq	.L.str.5(%rip), %r8
	leaq	.L.str.6(%rip), %r9
	movl	$4, %esi
.Ltmp98:
	jmp	.LBB0_91
.Ltmp99:
.LBB0_71:
	.cfi_def_cfa_offset 16
	leaq	.L.str.18(%rip), %rax
	leaq	.L.str.10(%rip), %r10
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.15(%rip), %rdx
	leaq	.L.str.16(%rip), %rcx
	leaq	.L.str.17(%rip), %r8
	leaq	.L.str.9(%rip), %r9
	jmp	.LBB0_114
.Ltmp100:
.LBB0_72:
	leaq	.L.str.20(%rip), %rax
	leaq	.L.str.10(%rip), %r10
	leaq	.L.str(%rip), %rdi
	leaq	.L.str.15(%rip), %rdx
	leaq	.L.str.16(%rip), %rcx
	leaq	.L.str.19(%rip), %r8
	leaq	.L.str.9(%rip), %r9
	jmp	.LBB0_114
.Ltmp101:
.LBB0_73:
	leaq	.L.str.22(%rip), %rax
	leaq	.L.str.10(%rip), %r10
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.15(%rip), %rdx
	leaq	.L.str.16(%rip), %rcx
	leaq	.L.str.21(%rip), %r8
	leaq	.L.str.9(%rip), %r9
	jmp	.LBB0_114
.Ltmp102:
.LBB0_74:
	leaq	.L.str.2(%rip), %rax
	leaq	.L.str.10(%rip), %r10
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.15(%rip), %rdx
	leaq	.L.str.23(%rip), %rcx
	leaq	.L.str.17(%rip), %r8
	jmp	.LBB0_106
.Ltmp103:
.LBB0_75:
	leaq	.L.str.20(%rip), %rax
	leaq	.L.str.10(%rip), %r10
	leaq	.L.str(%rip), %rdi
	leaq	.L.str.15(%rip), %rdx
	leaq	.L.str.23(%rip), %rcx
	leaq	.L.str.19(%rip), %r8
	jmp	.LBB0_106
.Ltmp104:
.LBB0_76:
	leaq	.L.str.22(%rip), %rax
	leaq	.L.str.10(%rip), %r10
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.15(%rip), %rdx
	leaq	.L.str.23(%rip), %rcx
	leaq	.L.str.21(%rip), %r8
	jmp	.LBB0_106
.Ltmp105:
.LBB0_77:
	leaq	.L.str.18(%rip), %rax
	leaq	.L.str.10(%rip), %r10
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.15(%rip), %rdx
	leaq	.L.str.24(%rip), %rcx
	leaq	.L.str.17(%rip), %r8
	jmp	.LBB0_113
.Ltmp106:
.LBB0_78:
	leaq	.L.str.20(%rip), %rax
	leaq	.L.str.10(%rip), %r10
	leaq	.L.str(%rip), %rdi
	leaq	.L.str.15(%rip), %rdx
	leaq	.L.str.24(%rip), %rcx
	leaq	.L.str.19(%rip), %r8
	jmp	.LBB0_113
.Ltmp107:
.LBB0_79:
	leaq	.L.str.22(%rip), %rax
	leaq	.L.str.10(%rip), %r10
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.15(%rip), %rdx
	leaq	.L.str.24(%rip), %rcx
	leaq	.L.str.21(%rip), %r8
	jmp	.LBB0_113
.Ltmp108:
.LBB0_80:
	leaq	.L.str.28(%rip), %rax
	leaq	.L.str.5(%rip), %r10
.Ltmp109:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.16(%rip), %rdx
.Ltmp110:
	leaq	.L.str.27(%rip), %rcx
	leaq	.L.str.9(%rip), %r8
	jmp	.LBB0_89
.Ltmp111:
.LBB0_81:
	leaq	.L.str.26(%rip), %rax
	leaq	.L.str.14(%rip), %rdi
.Ltmp112:
	leaq	.L.str.15(%rip), %rdx
.Ltmp113:
	leaq	.L.str.16(%rip), %rcx
	leaq	.L.str.25(%rip), %r8
	leaq	.L.str.9(%rip), %r9
.Ltmp114:
	jmp	.LBB0_87
.Ltmp115:
.LBB0_82:
	leaq	.L.str.26(%rip), %rax
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.15(%rip), %rdx
.Ltmp116:
	leaq	.L.str.23(%rip), %rcx
	leaq	.L.str.25(%rip), %r8
	leaq	.L.str.12(%rip), %r9
.Ltmp117:
	jmp	.LBB0_87
.Ltmp118:
.LBB0_83:
	leaq	.L.str.32(%rip), %rax
	leaq	.L.str.31(%rip), %r10
.Ltmp119:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.15(%rip), %rdx
.Ltmp120:
	leaq	.L.str.29(%rip), %rcx
	jmp	.LBB0_105
.Ltmp121:
.LBB0_84:
	leaq	.L.str.28(%rip), %rax
	leaq	.L.str.5(%rip), %r10
.Ltmp122:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.23(%rip), %rdx
.Ltmp123:
	leaq	.L.str.27(%rip), %rcx
	leaq	.L.str.12(%rip), %r8
	jmp	.LBB0_89
.Ltmp124:
.LBB0_85:
	leaq	.L.str.32(%rip), %rax
	leaq	.L.str.31(%rip), %r10
.Ltmp125:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.15(%rip), %rdx
.Ltmp126:
	leaq	.L.str.33(%rip), %rcx
	jmp	.LBB0_112
.Ltmp127:
.LBB0_86:
	leaq	.L.str.26(%rip), %rax
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.15(%rip), %rdx
.Ltmp128:
	leaq	.L.str.24(%rip), %rcx
	leaq	.L.str.25(%rip), %r8
	leaq	.L.str.13(%rip), %r9
.Ltmp129:
.LBB0_87:
	movl	$7, %esi
	pushq	$0
	.cfi_adjust_cfa_offset 8
	jmp	.LBB0_102
.Ltmp130:
.LBB0_88:
	.cfi_def_cfa_offset 16
	leaq	.L.str.28(%rip), %rax
	leaq	.L.str.5(%rip), %r10
.Ltmp131:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.24(%rip), %rdx
	leaq	.L.str.27(%rip), %rcx
	leaq	.L.str.13(%rip), %r8
.Ltmp132:
.LBB0_89:
	leaq	.L.str.4(%rip), %r9
.Ltmp133:
.LBB0_90:
	movl	$6, %esi
	pushq	%rax
	.cfi_adjust_cfa_offset 8
	pushq	%r10
	.cfi_adjust_cfa_offset 8
.Ltmp134:
.LBB0_91:
	callq	__tvm_set_raised_6
	addq	$16, %rsp
	.cfi_adjust_cfa_offset -16
	movl	$-1, %eax
	popq	%rbx
	.cfi_def_cfa_offset 8
	retq
.Ltmp135:
.LBB0_92:
	.cfi_def_cfa_offset 16
	leaq	.L.str.12(%rip), %rax
	leaq	.L.str.10(%rip), %r10
.Ltmp136:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.34(%rip), %rdx
	leaq	.L.str.35(%rip), %rcx
	jmp	.LBB0_96
.Ltmp137:
.LBB0_93:
	leaq	.L.str.37(%rip), %rax
	leaq	.L.str.10(%rip), %r10
.Ltmp138:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.34(%rip), %rdx
	leaq	.L.str.36(%rip), %rcx
	jmp	.LBB0_96
.Ltmp139:
.LBB0_94:
	leaq	.L.str.18(%rip), %rax
	leaq	.L.str.10(%rip), %r10
.Ltmp140:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.34(%rip), %rdx
	leaq	.L.str.38(%rip), %rcx
	jmp	.LBB0_96
.Ltmp141:
.LBB0_95:
	leaq	.L.str.40(%rip), %rax
	leaq	.L.str.10(%rip), %r10
.Ltmp142:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.34(%rip), %rdx
	leaq	.L.str.39(%rip), %rcx
.Ltmp143:
.LBB0_96:
	leaq	.L.str.30(%rip), %r8
	leaq	.L.str.9(%rip), %r9
.Ltmp144:
	jmp	.LBB0_114
.Ltmp145:
.LBB0_97:
	leaq	.L.str.9(%rip), %r9
.Ltmp146:
	leaq	.L.str.10(%rip), %rax
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.34(%rip), %rdx
	leaq	.L.str.41(%rip), %rcx
	jmp	.LBB0_101
.Ltmp147:
.LBB0_98:
	leaq	.L.str.37(%rip), %rax
	leaq	.L.str.10(%rip), %r10
.Ltmp148:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.34(%rip), %rdx
	leaq	.L.str.42(%rip), %rcx
	jmp	.LBB0_105
.Ltmp149:
.LBB0_99:
	leaq	.L.str.12(%rip), %r9
.Ltmp150:
	leaq	.L.str.10(%rip), %rax
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.34(%rip), %rdx
	leaq	.L.str.43(%rip), %rcx
	jmp	.LBB0_101
.Ltmp151:
.LBB0_100:
	leaq	.L.str.12(%rip), %r9
.Ltmp152:
	leaq	.L.str.10(%rip), %rax
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.34(%rip), %rdx
	leaq	.L.str.44(%rip), %rcx
.Ltmp153:
.LBB0_101:
	leaq	.L.str.30(%rip), %r8
	movl	$8, %esi
	pushq	%r9
	.cfi_adjust_cfa_offset 8
.Ltmp154:
.LBB0_102:
	pushq	%rax
	.cfi_adjust_cfa_offset 8
	jmp	.LBB0_103
.Ltmp155:
.LBB0_104:
	.cfi_def_cfa_offset 16
	leaq	.L.str.9(%rip), %rax
	leaq	.L.str.10(%rip), %r10
.Ltmp156:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.34(%rip), %rdx
	leaq	.L.str.45(%rip), %rcx
.Ltmp157:
.LBB0_105:
	leaq	.L.str.30(%rip), %r8
.Ltmp158:
.LBB0_106:
	leaq	.L.str.12(%rip), %r9
	jmp	.LBB0_114
.Ltmp159:
.LBB0_107:
	leaq	.L.str.12(%rip), %rax
	leaq	.L.str.10(%rip), %r10
.Ltmp160:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.34(%rip), %rdx
	leaq	.L.str.46(%rip), %rcx
	jmp	.LBB0_112
.Ltmp161:
.LBB0_108:
	leaq	.L.str.12(%rip), %rax
	leaq	.L.str.10(%rip), %r10
.Ltmp162:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.34(%rip), %rdx
	leaq	.L.str.47(%rip), %rcx
	jmp	.LBB0_112
.Ltmp163:
.LBB0_109:
	leaq	.L.str.37(%rip), %rax
	leaq	.L.str.10(%rip), %r10
.Ltmp164:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.34(%rip), %rdx
	leaq	.L.str.48(%rip), %rcx
	jmp	.LBB0_112
.Ltmp165:
.LBB0_110:
	leaq	.L.str.50(%rip), %rax
	leaq	.L.str.10(%rip), %r10
.Ltmp166:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.34(%rip), %rdx
	leaq	.L.str.49(%rip), %rcx
	jmp	.LBB0_112
.Ltmp167:
.LBB0_111:
	leaq	.L.str.9(%rip), %rax
	leaq	.L.str.10(%rip), %r10
.Ltmp168:
	leaq	.L.str.14(%rip), %rdi
	leaq	.L.str.34(%rip), %rdx
	leaq	.L.str.51(%rip), %rcx
.Ltmp169:
.LBB0_112:
	leaq	.L.str.30(%rip), %r8
.Ltmp170:
.LBB0_113:
	leaq	.L.str.13(%rip), %r9
.Ltmp171:
.LBB0_114:
	movl	$8, %esi
	pushq	%rax
	.cfi_adjust_cfa_offset 8
	pushq	%r10
	.cfi_adjust_cfa_offset 8
.Ltmp172:
.LBB0_103:
	callq	__tvm_set_raised_12
	addq	$16, %rsp
	.cfi_adjust_cfa_offset -16
	movl	$-1, %eax
	popq	%rbx
	.cfi_def_cfa_offset 8
	retq
.Ltmp173:
.Lfunc_end0:
	.size	__tvm_ffi_main, .Lfunc_end0-__tvm_ffi_main
	.cfi_endproc

	.p2align	4
	.type	__tvm_set_raised_6,@function
__tvm_set_raised_6:
.Lfunc_begin1:
	.cfi_startproc
	subq	$56, %rsp
	.cfi_def_cfa_offset 64
	movl	%esi, %eax
	vmovaps	64(%rsp), %xmm0
	movq	%rdx, 8(%rsp)
	movq	%rcx, 16(%rsp)
	movq	%r8, 24(%rsp)
	movq	%r9, 32(%rsp)
	vmovups	%xmm0, 40(%rsp)
	leaq	8(%rsp), %rsi
	movl	%eax, %edx
	callq	TVMFFIErrorSetRaisedFromCStrParts@PLT
	addq	$56, %rsp
	.cfi_def_cfa_offset 8
	retq
.Lfunc_end1:
	.size	__tvm_set_raised_6, .Lfunc_end1-__tvm_set_raised_6
	.cfi_endproc

	.p2align	4
	.type	__tvm_set_raised_12,@function
__tvm_set_raised_12:
.Lfunc_begin2:
	.cfi_startproc
	subq	$104, %rsp
	.cfi_def_cfa_offset 112
	movl	%esi, %eax
	movq	%rdx, 8(%rsp)
	movq	%rcx, 16(%rsp)
	movq	%r8, 24(%rsp)
	movq	%r9, 32(%rsp)
	leaq	.L.str.4(%rip), %rcx
	movq	%rcx, 40(%rsp)
	leaq	.L.str.5(%rip), %rcx
	movq	%rcx, 48(%rsp)
	vmovaps	112(%rsp), %xmm0
	vmovups	%xmm0, 56(%rsp)
	vxorps	%xmm0, %xmm0, %xmm0
	vmovups	%ymm0, 72(%rsp)
	leaq	8(%rsp), %rsi
	movl	%eax, %edx
	vzeroupper
	callq	TVMFFIErrorSetRaisedFromCStrParts@PLT
	addq	$104, %rsp
	.cfi_def_cfa_offset 8
	retq
.Lfunc_end2:
	.size	__tvm_set_raised_12, .Lfunc_end2-__tvm_set_raised_12
	.cfi_endproc

	.section	.rodata.cst16,"aM",@progbits,16
	.p2align	4, 0x0
.LCPI3_0:
	.long	0
	.long	4
	.long	8
	.long	12
.LCPI3_1:
	.long	1
	.long	5
	.long	9
	.long	13
.LCPI3_2:
	.long	2
	.long	6
	.long	10
	.long	14
.LCPI3_3:
	.long	3
	.long	7
	.long	11
	.long	15
	.section	.rodata.cst32,"aM",@progbits,32
	.p2align	5, 0x0
.LCPI3_4:
	.quad	0
	.quad	96
	.quad	192
	.quad	288
.LCPI3_5:
	.quad	0
	.quad	24
	.quad	48
	.quad	72
	.text
	.p2align	4
	.type	main_compute_,@function
main_compute_:
.Lfunc_begin3:
	.loc	1 0 0
	.cfi_startproc
	vmovaps	.LCPI3_0(%rip), %xmm0
	.loc	1 0 0 prologue_end
	vmovaps	(%rsi), %zmm3
	vpermps	%zmm3, %zmm0, %zmm0
	vmovaps	.LCPI3_1(%rip), %xmm1
	vpermps	%zmm3, %zmm1, %zmm1
	vmovaps	.LCPI3_2(%rip), %xmm2
	vpermps	%zmm3, %zmm2, %zmm2
	vmovaps	.LCPI3_3(%rip), %xmm4
	vpermps	%zmm3, %zmm4, %zmm3
	xorl	%eax, %eax
	vmovdqa	.LCPI3_4(%rip), %ymm4
	vmovdqa	.LCPI3_5(%rip), %ymm5
	xorl	%ecx, %ecx
.Ltmp174:
	.p2align	4
.LBB3_1:
	vpbroadcastq	%rax, %ymm6
	vpaddq	%ymm4, %ymm6, %ymm6
.Ltmp175:
	vxorps	%xmm7, %xmm7, %xmm7
	kxnorw	%k0, %k0, %k1
	vgatherqps	(%rdi,%ymm6,4), %xmm7 {%k1}
	vpbroadcastq	%rcx, %ymm8
	vaddps	%xmm7, %xmm0, %xmm9
	vpaddq	%ymm5, %ymm8, %ymm7
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm9, (%rdx,%ymm7,4) {%k1}
	vpxor	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	96(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm1, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 4(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	192(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm2, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 8(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	288(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm3, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 12(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	4(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm0, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 16(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	100(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm1, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 20(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	196(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm2, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 24(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	292(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm3, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 28(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	8(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm0, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 32(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	104(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm1, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 36(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	200(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm2, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 40(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	296(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm3, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 44(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	12(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm0, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 48(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	108(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm1, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 52(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	204(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm2, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 56(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	300(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm3, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 60(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	16(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm0, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 64(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	112(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm1, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 68(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	208(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm2, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 72(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	304(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm3, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 76(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	20(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm0, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 80(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	116(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm1, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 84(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	212(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm2, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm8, 88(%rdx,%ymm7,4) {%k1}
	vxorps	%xmm8, %xmm8, %xmm8
	kxnorw	%k0, %k0, %k1
	vgatherqps	308(%rdi,%ymm6,4), %xmm8 {%k1}
	vaddps	%xmm3, %xmm8, %xmm6
	kxnorw	%k0, %k0, %k1
	vscatterqps	%xmm6, 92(%rdx,%ymm7,4) {%k1}
.Ltmp176:
	addq	$96, %rcx
.Ltmp177:
	addq	$6, %rax
	cmpq	$384, %rcx
	jne	.LBB3_1
.Ltmp178:
	vzeroupper
	retq
.Ltmp179:
.Lfunc_end3:
	.size	main_compute_, .Lfunc_end3-main_compute_
	.cfi_endproc

	.section	.text.tvm.fp16.conv,"ax",@progbits
	.weak	__truncsfhf2
	.p2align	4
	.type	__truncsfhf2,@function
__truncsfhf2:
.Lfunc_begin4:
	.cfi_startproc
	vmovd	%xmm0, %eax
	movl	%eax, %edx
	andl	$2147483647, %edx
	leal	-947912704(%rdx), %ecx
	leal	-1199570944(%rdx), %esi
	cmpl	%esi, %ecx
	jae	.LBB4_5
	movl	%eax, %edx
	shrl	$13, %edx
	movl	%eax, %esi
	andl	$8191, %esi
	cmpl	$4097, %esi
	jb	.LBB4_3
	addl	$-114687, %edx
	movl	%edx, %ecx
	jmp	.LBB4_13
.LBB4_5:
	cmpl	$2139095041, %edx
	jb	.LBB4_7
	movl	%eax, %ecx
	shrl	$13, %ecx
	andl	$511, %ecx
	orl	$32256, %ecx
	jmp	.LBB4_13
.LBB4_3:
	leal	-114688(%rdx), %ecx
	cmpl	$4096, %esi
	jne	.LBB4_13
	andl	$1, %edx
	addl	%edx, %ecx
	jmp	.LBB4_13
.LBB4_7:
	movl	$31744, %ecx
	cmpl	$1199570943, %edx
	ja	.LBB4_13
	xorl	%ecx, %ecx
	cmpl	$754974720, %edx
	jb	.LBB4_13
	shrl	$23, %edx
	movl	%eax, %ecx
	andl	$8388607, %ecx
	orl	$8388608, %ecx
	leal	-81(%rdx), %esi
	shlxl	%esi, %ecx, %esi
	xorl	%edi, %edi
	testl	%esi, %esi
	setne	%dil
	movb	$113, %sil
	subb	%dl, %sil
	shrxl	%esi, %ecx, %edx
	movl	%edx, %ecx
	shrl	$13, %ecx
	andl	$8191, %edx
	orl	%edi, %edx
	cmpl	$4097, %edx
	jb	.LBB4_11
	incl	%ecx
	jmp	.LBB4_13
.LBB4_11:
	cmpl	$4096, %edx
	jne	.LBB4_13
	movl	%ecx, %edx
	andl	$1, %edx
	addl	%edx, %ecx
.LBB4_13:
	shrl	$16, %eax
	andl	$32768, %eax
	orl	%ecx, %eax
	vmovw	%eax, %xmm0
	retq
.Lfunc_end4:
	.size	__truncsfhf2, .Lfunc_end4-__truncsfhf2
	.cfi_endproc

	.weak	__extendhfsf2
	.p2align	4
	.type	__extendhfsf2,@function
__extendhfsf2:
.Lfunc_begin5:
	.cfi_startproc
	vmovw	%xmm0, %eax
	andl	$32767, %eax
	leal	-1024(%rax), %ecx
	movzwl	%cx, %ecx
	cmpl	$30719, %ecx
	ja	.LBB5_2
	shll	$13, %eax
	addl	$939524096, %eax
	jmp	.LBB5_7
.LBB5_2:
	cmpl	$31744, %eax
	jb	.LBB5_4
	shll	$13, %eax
	orl	$2139095040, %eax
	jmp	.LBB5_7
.LBB5_4:
	testl	%eax, %eax
	je	.LBB5_5
	movl	%eax, %ecx
	shrl	$8, %ecx
	xorl	%edx, %edx
	cmpl	$256, %eax
	setb	%dl
	cmovbl	%eax, %ecx
	leal	24(,%rdx,8), %esi
	movl	%ecx, %edi
	shrl	$4, %edi
	cmpl	$16, %ecx
	leal	20(,%rdx,8), %edx
	cmovbl	%ecx, %edi
	cmovbl	%esi, %edx
	movl	%edi, %ecx
	shrl	$2, %ecx
	leal	-2(%rdx), %esi
	cmpl	$4, %edi
	cmovbl	%edi, %ecx
	cmovbl	%edx, %esi
	movl	%ecx, %edx
	negl	%edx
	cmpl	$2, %ecx
	movl	$-2, %ecx
	cmovbl	%edx, %ecx
	addl	%esi, %ecx
	leal	-8(%rcx), %edx
	shlxl	%edx, %eax, %edx
	xorl	$8388608, %edx
	shll	$23, %ecx
	movl	$1124073472, %eax
	subl	%ecx, %eax
	orl	%edx, %eax
	jmp	.LBB5_7
.LBB5_5:
	xorl	%eax, %eax
.LBB5_7:
	vmovw	%xmm0, %ecx
	andl	$32768, %ecx
	shll	$16, %ecx
	orl	%eax, %ecx
	vmovd	%ecx, %xmm0
	retq
.Lfunc_end5:
	.size	__extendhfsf2, .Lfunc_end5-__extendhfsf2
	.cfi_endproc

	.type	.L.str,@object
	.section	.rodata,"a",@progbits
.L.str:
	.asciz	"TypeError"
	.size	.L.str, 10

	.type	.L.str.1,@object
.L.str.1:
	.asciz	"Expected "
	.size	.L.str.1, 10

	.type	.L.str.2,@object
.L.str.2:
	.asciz	"3"
	.size	.L.str.2, 2

	.type	.L.str.3,@object
.L.str.3:
	.asciz	" arguments"
	.size	.L.str.3, 11

	.type	.L.str.4,@object
.L.str.4:
	.asciz	" when calling:\n  `"
	.size	.L.str.4, 19

	.type	.L.str.5,@object
.L.str.5:
	.asciz	"main(x: Tensor([T.int64(1), T.int64(16), T.int64(4), T.int64(6)], float32), param_0: Tensor([T.int64(16), T.int64(1), T.int64(1)], float32), pixel_shuffle_intermediate: Tensor([T.int64(1), T.int64(1), T.int64(16), T.int64(24)], float32))"
	.size	.L.str.5, 238

	.type	.L.str.6,@object
.L.str.6:
	.asciz	"`"
	.size	.L.str.6, 2

	.type	.L.str.7,@object
.L.str.7:
	.asciz	"args pointer is NULL"
	.size	.L.str.7, 21

	.type	.L.str.8,@object
.L.str.8:
	.asciz	"Mismatched type on argument #"
	.size	.L.str.8, 30

	.type	.L.str.9,@object
.L.str.9:
	.asciz	"0"
	.size	.L.str.9, 2

	.type	.L.str.10,@object
.L.str.10:
	.asciz	"`,\n  expected "
	.size	.L.str.10, 15

	.type	.L.str.11,@object
.L.str.11:
	.asciz	"Tensor"
	.size	.L.str.11, 7

	.type	.L.str.12,@object
.L.str.12:
	.asciz	"1"
	.size	.L.str.12, 2

	.type	.L.str.13,@object
.L.str.13:
	.asciz	"2"
	.size	.L.str.13, 2

	.type	.L.str.14,@object
.L.str.14:
	.asciz	"ValueError"
	.size	.L.str.14, 11

	.type	.L.str.15,@object
.L.str.15:
	.asciz	"Mismatched "
	.size	.L.str.15, 12

	.type	.L.str.16,@object
.L.str.16:
	.asciz	"x"
	.size	.L.str.16, 2

	.type	.L.str.17,@object
.L.str.17:
	.asciz	".ndim on argument #"
	.size	.L.str.17, 20

	.type	.L.str.18,@object
.L.str.18:
	.asciz	"4"
	.size	.L.str.18, 2

	.type	.L.str.19,@object
.L.str.19:
	.asciz	".dtype on argument #"
	.size	.L.str.19, 21

	.type	.L.str.20,@object
.L.str.20:
	.asciz	"float32"
	.size	.L.str.20, 8

	.type	.L.str.21,@object
.L.str.21:
	.asciz	".device_type on argument #"
	.size	.L.str.21, 27

	.type	.L.str.22,@object
.L.str.22:
	.asciz	"cpu"
	.size	.L.str.22, 4

	.type	.L.str.23,@object
.L.str.23:
	.asciz	"param_0"
	.size	.L.str.23, 8

	.type	.L.str.24,@object
.L.str.24:
	.asciz	"pixel_shuffle_intermediate"
	.size	.L.str.24, 27

	.type	.L.str.25,@object
.L.str.25:
	.asciz	".strides on argument #"
	.size	.L.str.25, 23

	.type	.L.str.26,@object
.L.str.26:
	.asciz	"`,\n  expected to be compact array"
	.size	.L.str.26, 34

	.type	.L.str.27,@object
.L.str.27:
	.asciz	" data pointer is NULL on argument #"
	.size	.L.str.27, 36

	.type	.L.str.28,@object
.L.str.28:
	.asciz	"`,\n  expected non-NULL data pointer"
	.size	.L.str.28, 36

	.type	.L.str.29,@object
.L.str.29:
	.asciz	"param_0.device_id"
	.size	.L.str.29, 18

	.type	.L.str.30,@object
.L.str.30:
	.asciz	" on argument #"
	.size	.L.str.30, 15

	.type	.L.str.31,@object
.L.str.31:
	.asciz	"`,\n  expected to match "
	.size	.L.str.31, 24

	.type	.L.str.32,@object
.L.str.32:
	.asciz	"x.device_id"
	.size	.L.str.32, 12

	.type	.L.str.33,@object
.L.str.33:
	.asciz	"pixel_shuffle_intermediate.device_id"
	.size	.L.str.33, 37

	.type	.L.str.34,@object
.L.str.34:
	.asciz	"Invalid "
	.size	.L.str.34, 9

	.type	.L.str.35,@object
.L.str.35:
	.asciz	"x.shape[0]"
	.size	.L.str.35, 11

	.type	.L.str.36,@object
.L.str.36:
	.asciz	"x.shape[1]"
	.size	.L.str.36, 11

	.type	.L.str.37,@object
.L.str.37:
	.asciz	"16"
	.size	.L.str.37, 3

	.type	.L.str.38,@object
.L.str.38:
	.asciz	"x.shape[2]"
	.size	.L.str.38, 11

	.type	.L.str.39,@object
.L.str.39:
	.asciz	"x.shape[3]"
	.size	.L.str.39, 11

	.type	.L.str.40,@object
.L.str.40:
	.asciz	"6"
	.size	.L.str.40, 2

	.type	.L.str.41,@object
.L.str.41:
	.asciz	"x.byte_offset"
	.size	.L.str.41, 14

	.type	.L.str.42,@object
.L.str.42:
	.asciz	"param_0.shape[0]"
	.size	.L.str.42, 17

	.type	.L.str.43,@object
.L.str.43:
	.asciz	"param_0.shape[1]"
	.size	.L.str.43, 17

	.type	.L.str.44,@object
.L.str.44:
	.asciz	"param_0.shape[2]"
	.size	.L.str.44, 17

	.type	.L.str.45,@object
.L.str.45:
	.asciz	"param_0.byte_offset"
	.size	.L.str.45, 20

	.type	.L.str.46,@object
.L.str.46:
	.asciz	"pixel_shuffle_intermediate.shape[0]"
	.size	.L.str.46, 36

	.type	.L.str.47,@object
.L.str.47:
	.asciz	"pixel_shuffle_intermediate.shape[1]"
	.size	.L.str.47, 36

	.type	.L.str.48,@object
.L.str.48:
	.asciz	"pixel_shuffle_intermediate.shape[2]"
	.size	.L.str.48, 36

	.type	.L.str.49,@object
.L.str.49:
	.asciz	"pixel_shuffle_intermediate.shape[3]"
	.size	.L.str.49, 36

	.type	.L.str.50,@object
.L.str.50:
	.asciz	"24"
	.size	.L.str.50, 3

	.type	.L.str.51,@object
.L.str.51:
	.asciz	"pixel_shuffle_intermediate.byte_offset"
	.size	.L.str.51, 39

	.section	.debug_loc,"",@progbits
.Ldebug_loc0:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Lfunc_begin0-.Lfunc_begin0
	.quad	.Ltmp21-.Lfunc_begin0
	.short	1
	.byte	85
	.quad	.Ltmp21-.Lfunc_begin0
	.quad	.Ltmp22-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	85
	.byte	159
	.quad	.Ltmp22-.Lfunc_begin0
	.quad	.Ltmp26-.Lfunc_begin0
	.short	1
	.byte	85
	.quad	.Ltmp26-.Lfunc_begin0
	.quad	.Ltmp90-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	85
	.byte	159
	.quad	.Ltmp90-.Lfunc_begin0
	.quad	.Ltmp91-.Lfunc_begin0
	.short	1
	.byte	85
	.quad	.Ltmp91-.Lfunc_begin0
	.quad	.Ltmp94-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	85
	.byte	159
	.quad	.Ltmp94-.Lfunc_begin0
	.quad	.Ltmp95-.Lfunc_begin0
	.short	1
	.byte	85
	.quad	.Ltmp95-.Lfunc_begin0
	.quad	.Lfunc_end0-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	85
	.byte	159
	.quad	0
	.quad	0
.Ldebug_loc1:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Lfunc_begin0-.Lfunc_begin0
	.quad	.Ltmp50-.Lfunc_begin0
	.short	1
	.byte	84
	.quad	.Ltmp50-.Lfunc_begin0
	.quad	.Ltmp86-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	84
	.byte	159
	.quad	.Ltmp86-.Lfunc_begin0
	.quad	.Ltmp98-.Lfunc_begin0
	.short	1
	.byte	84
	.quad	.Ltmp98-.Lfunc_begin0
	.quad	.Ltmp99-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	84
	.byte	159
	.quad	.Ltmp99-.Lfunc_begin0
	.quad	.Ltmp108-.Lfunc_begin0
	.short	1
	.byte	84
	.quad	.Ltmp108-.Lfunc_begin0
	.quad	.Lfunc_end0-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	84
	.byte	159
	.quad	0
	.quad	0
.Ldebug_loc2:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Lfunc_begin0-.Lfunc_begin0
	.quad	.Ltmp9-.Lfunc_begin0
	.short	1
	.byte	81
	.quad	.Ltmp9-.Lfunc_begin0
	.quad	.Ltmp10-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	81
	.byte	159
	.quad	.Ltmp10-.Lfunc_begin0
	.quad	.Ltmp18-.Lfunc_begin0
	.short	1
	.byte	81
	.quad	.Ltmp18-.Lfunc_begin0
	.quad	.Ltmp90-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	81
	.byte	159
	.quad	.Ltmp90-.Lfunc_begin0
	.quad	.Ltmp92-.Lfunc_begin0
	.short	1
	.byte	81
	.quad	.Ltmp92-.Lfunc_begin0
	.quad	.Ltmp94-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	81
	.byte	159
	.quad	.Ltmp94-.Lfunc_begin0
	.quad	.Ltmp96-.Lfunc_begin0
	.short	1
	.byte	81
	.quad	.Ltmp96-.Lfunc_begin0
	.quad	.Lfunc_end0-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	81
	.byte	159
	.quad	0
	.quad	0
.Ldebug_loc3:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Lfunc_begin0-.Lfunc_begin0
	.quad	.Ltmp6-.Lfunc_begin0
	.short	1
	.byte	82
	.quad	.Ltmp6-.Lfunc_begin0
	.quad	.Ltmp10-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	82
	.byte	159
	.quad	.Ltmp10-.Lfunc_begin0
	.quad	.Ltmp12-.Lfunc_begin0
	.short	1
	.byte	82
	.quad	.Ltmp12-.Lfunc_begin0
	.quad	.Ltmp90-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	82
	.byte	159
	.quad	.Ltmp90-.Lfunc_begin0
	.quad	.Ltmp93-.Lfunc_begin0
	.short	1
	.byte	82
	.quad	.Ltmp93-.Lfunc_begin0
	.quad	.Ltmp94-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	82
	.byte	159
	.quad	.Ltmp94-.Lfunc_begin0
	.quad	.Ltmp97-.Lfunc_begin0
	.short	1
	.byte	82
	.quad	.Ltmp97-.Lfunc_begin0
	.quad	.Lfunc_end0-.Lfunc_begin0
	.short	4
	.byte	243
	.byte	1
	.byte	82
	.byte	159
	.quad	0
	.quad	0
.Ldebug_loc4:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Ltmp2-.Lfunc_begin0
	.quad	.Ltmp5-.Lfunc_begin0
	.short	1
	.byte	80
	.quad	.Ltmp10-.Lfunc_begin0
	.quad	.Ltmp14-.Lfunc_begin0
	.short	1
	.byte	80
	.quad	0
	.quad	0
.Ldebug_loc5:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Ltmp6-.Lfunc_begin0
	.quad	.Ltmp7-.Lfunc_begin0
	.short	1
	.byte	82
	.quad	0
	.quad	0
.Ldebug_loc6:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Ltmp18-.Lfunc_begin0
	.quad	.Ltmp19-.Lfunc_begin0
	.short	1
	.byte	81
	.quad	0
	.quad	0
.Ldebug_loc7:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Ltmp46-.Lfunc_begin0
	.quad	.Ltmp84-.Lfunc_begin0
	.short	2
	.byte	123
	.byte	0
	.quad	.Ltmp108-.Lfunc_begin0
	.quad	.Ltmp132-.Lfunc_begin0
	.short	2
	.byte	123
	.byte	0
	.quad	.Ltmp135-.Lfunc_begin0
	.quad	.Ltmp158-.Lfunc_begin0
	.short	2
	.byte	123
	.byte	0
	.quad	.Ltmp159-.Lfunc_begin0
	.quad	.Ltmp170-.Lfunc_begin0
	.short	2
	.byte	123
	.byte	0
	.quad	0
	.quad	0
.Ldebug_loc8:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Ltmp47-.Lfunc_begin0
	.quad	.Ltmp57-.Lfunc_begin0
	.short	2
	.byte	117
	.byte	0
	.quad	.Ltmp111-.Lfunc_begin0
	.quad	.Ltmp112-.Lfunc_begin0
	.short	2
	.byte	117
	.byte	0
	.quad	0
	.quad	0
.Ldebug_loc9:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Ltmp48-.Lfunc_begin0
	.quad	.Ltmp68-.Lfunc_begin0
	.short	1
	.byte	81
	.quad	.Ltmp108-.Lfunc_begin0
	.quad	.Ltmp110-.Lfunc_begin0
	.short	1
	.byte	81
	.quad	.Ltmp111-.Lfunc_begin0
	.quad	.Ltmp113-.Lfunc_begin0
	.short	1
	.byte	81
	.quad	.Ltmp115-.Lfunc_begin0
	.quad	.Ltmp116-.Lfunc_begin0
	.short	1
	.byte	81
	.quad	.Ltmp118-.Lfunc_begin0
	.quad	.Ltmp120-.Lfunc_begin0
	.short	1
	.byte	81
	.quad	.Ltmp121-.Lfunc_begin0
	.quad	.Ltmp123-.Lfunc_begin0
	.short	1
	.byte	81
	.quad	.Ltmp124-.Lfunc_begin0
	.quad	.Ltmp126-.Lfunc_begin0
	.short	1
	.byte	81
	.quad	.Ltmp127-.Lfunc_begin0
	.quad	.Ltmp128-.Lfunc_begin0
	.short	1
	.byte	81
	.quad	0
	.quad	0
.Ldebug_loc10:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Ltmp49-.Lfunc_begin0
	.quad	.Ltmp84-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp108-.Lfunc_begin0
	.quad	.Ltmp109-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp111-.Lfunc_begin0
	.quad	.Ltmp119-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp121-.Lfunc_begin0
	.quad	.Ltmp122-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp124-.Lfunc_begin0
	.quad	.Ltmp125-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp127-.Lfunc_begin0
	.quad	.Ltmp131-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp135-.Lfunc_begin0
	.quad	.Ltmp136-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp137-.Lfunc_begin0
	.quad	.Ltmp138-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp139-.Lfunc_begin0
	.quad	.Ltmp140-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp141-.Lfunc_begin0
	.quad	.Ltmp142-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp145-.Lfunc_begin0
	.quad	.Ltmp148-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp149-.Lfunc_begin0
	.quad	.Ltmp156-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp159-.Lfunc_begin0
	.quad	.Ltmp160-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp161-.Lfunc_begin0
	.quad	.Ltmp162-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp163-.Lfunc_begin0
	.quad	.Ltmp164-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp165-.Lfunc_begin0
	.quad	.Ltmp166-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	.Ltmp167-.Lfunc_begin0
	.quad	.Ltmp168-.Lfunc_begin0
	.short	2
	.byte	122
	.byte	0
	.quad	0
	.quad	0
.Ldebug_loc11:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Ltmp50-.Lfunc_begin0
	.quad	.Ltmp62-.Lfunc_begin0
	.short	2
	.byte	116
	.byte	0
	.quad	.Ltmp108-.Lfunc_begin0
	.quad	.Ltmp121-.Lfunc_begin0
	.short	2
	.byte	116
	.byte	0
	.quad	0
	.quad	0
.Ldebug_loc12:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Ltmp51-.Lfunc_begin0
	.quad	.Ltmp84-.Lfunc_begin0
	.short	2
	.byte	121
	.byte	0
	.quad	.Ltmp108-.Lfunc_begin0
	.quad	.Ltmp114-.Lfunc_begin0
	.short	2
	.byte	121
	.byte	0
	.quad	.Ltmp115-.Lfunc_begin0
	.quad	.Ltmp117-.Lfunc_begin0
	.short	2
	.byte	121
	.byte	0
	.quad	.Ltmp118-.Lfunc_begin0
	.quad	.Ltmp129-.Lfunc_begin0
	.short	2
	.byte	121
	.byte	0
	.quad	.Ltmp130-.Lfunc_begin0
	.quad	.Ltmp132-.Lfunc_begin0
	.short	2
	.byte	121
	.byte	0
	.quad	.Ltmp135-.Lfunc_begin0
	.quad	.Ltmp144-.Lfunc_begin0
	.short	2
	.byte	121
	.byte	0
	.quad	.Ltmp145-.Lfunc_begin0
	.quad	.Ltmp146-.Lfunc_begin0
	.short	2
	.byte	121
	.byte	0
	.quad	.Ltmp147-.Lfunc_begin0
	.quad	.Ltmp150-.Lfunc_begin0
	.short	2
	.byte	121
	.byte	0
	.quad	.Ltmp151-.Lfunc_begin0
	.quad	.Ltmp152-.Lfunc_begin0
	.short	2
	.byte	121
	.byte	0
	.quad	.Ltmp155-.Lfunc_begin0
	.quad	.Ltmp158-.Lfunc_begin0
	.short	2
	.byte	121
	.byte	0
	.quad	.Ltmp159-.Lfunc_begin0
	.quad	.Ltmp170-.Lfunc_begin0
	.short	2
	.byte	121
	.byte	0
	.quad	0
	.quad	0
.Ldebug_loc13:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Ltmp52-.Lfunc_begin0
	.quad	.Ltmp85-.Lfunc_begin0
	.short	2
	.byte	115
	.byte	0
	.quad	.Ltmp108-.Lfunc_begin0
	.quad	.Ltmp132-.Lfunc_begin0
	.short	2
	.byte	115
	.byte	0
	.quad	.Ltmp135-.Lfunc_begin0
	.quad	.Ltmp158-.Lfunc_begin0
	.short	2
	.byte	115
	.byte	0
	.quad	.Ltmp159-.Lfunc_begin0
	.quad	.Ltmp170-.Lfunc_begin0
	.short	2
	.byte	115
	.byte	0
	.quad	0
	.quad	0
.Ldebug_loc14:
	.quad	-1
	.quad	.Lfunc_begin0
	.quad	.Lfunc_begin3-.Lfunc_begin0
	.quad	.Ltmp174-.Lfunc_begin0
	.short	3
	.byte	17
	.byte	0
	.byte	159
	.quad	.Ltmp174-.Lfunc_begin0
	.quad	.Ltmp176-.Lfunc_begin0
	.short	7
	.byte	114
	.byte	0
	.byte	17
	.byte	224
	.byte	0
	.byte	27
	.byte	159
	.quad	.Ltmp176-.Lfunc_begin0
	.quad	.Ltmp177-.Lfunc_begin0
	.short	10
	.byte	114
	.byte	0
	.byte	17
	.byte	224
	.byte	0
	.byte	27
	.byte	17
	.byte	1
	.byte	34
	.byte	159
	.quad	0
	.quad	0
	.section	.debug_abbrev,"",@progbits
	.byte	1
	.byte	17
	.byte	1
	.byte	37
	.byte	14
	.byte	19
	.byte	5
	.byte	3
	.byte	14
	.byte	16
	.byte	23
	.byte	27
	.byte	14
	.ascii	"\264B"
	.byte	25
	.byte	17
	.byte	1
	.byte	85
	.byte	23
	.byte	0
	.byte	0
	.byte	2
	.byte	46
	.byte	1
	.byte	17
	.byte	1
	.byte	18
	.byte	6
	.byte	64
	.byte	24
	.byte	3
	.byte	14
	.byte	39
	.byte	25
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	3
	.byte	5
	.byte	0
	.byte	2
	.byte	23
	.byte	3
	.byte	14
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	4
	.byte	52
	.byte	0
	.byte	2
	.byte	23
	.byte	3
	.byte	14
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	5
	.byte	46
	.byte	1
	.byte	17
	.byte	1
	.byte	18
	.byte	6
	.byte	64
	.byte	24
	.byte	3
	.byte	14
	.byte	39
	.byte	25
	.byte	54
	.byte	11
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	6
	.byte	5
	.byte	0
	.byte	2
	.byte	24
	.byte	3
	.byte	14
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	7
	.byte	52
	.byte	0
	.byte	2
	.byte	24
	.byte	3
	.byte	14
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	8
	.byte	52
	.byte	0
	.byte	28
	.byte	13
	.byte	3
	.byte	14
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	9
	.byte	36
	.byte	0
	.byte	3
	.byte	14
	.byte	62
	.byte	11
	.byte	11
	.byte	11
	.byte	0
	.byte	0
	.byte	10
	.byte	15
	.byte	0
	.byte	0
	.byte	0
	.byte	11
	.byte	15
	.byte	0
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	0
	.section	.debug_info,"",@progbits
.Lcu_begin0:
	.long	.Ldebug_info_end0-.Ldebug_info_start0
.Ldebug_info_start0:
	.short	4
	.long	.debug_abbrev
	.byte	8
	.byte	1
	.long	.Linfo_string0
	.short	2
	.long	.Linfo_string1
	.long	.Lline_table_start0
	.long	.Linfo_string2

	.quad	0
	.long	.Ldebug_ranges0
	.byte	2
	.quad	.Lfunc_begin0
	.long	.Lfunc_end0-.Lfunc_begin0
	.byte	4
	.byte	156
	.byte	17
	.byte	112
	.byte	34
	.long	.Linfo_string3

	.long	368
	.byte	3
	.long	.Ldebug_loc0
	.long	.Linfo_string6
	.long	375
	.byte	3
	.long	.Ldebug_loc1
	.long	.Linfo_string7
	.long	375
	.byte	3
	.long	.Ldebug_loc2
	.long	.Linfo_string8
	.long	368
	.byte	3
	.long	.Ldebug_loc3
	.long	.Linfo_string9
	.long	375
	.byte	4
	.long	.Ldebug_loc4
	.long	.Linfo_string10
	.long	368
	.byte	4
	.long	.Ldebug_loc5
	.long	.Linfo_string11
	.long	368
	.byte	4
	.long	.Ldebug_loc6
	.long	.Linfo_string12
	.long	368
	.byte	4
	.long	.Ldebug_loc7
	.long	.Linfo_string13
	.long	376
	.byte	4
	.long	.Ldebug_loc8
	.long	.Linfo_string15
	.long	376
	.byte	4
	.long	.Ldebug_loc9
	.long	.Linfo_string16
	.long	368
	.byte	4
	.long	.Ldebug_loc10
	.long	.Linfo_string17
	.long	376
	.byte	4
	.long	.Ldebug_loc11
	.long	.Linfo_string18
	.long	376
	.byte	4
	.long	.Ldebug_loc12
	.long	.Linfo_string19
	.long	376
	.byte	4
	.long	.Ldebug_loc13
	.long	.Linfo_string20
	.long	376
	.byte	0
	.byte	5
	.quad	.Lfunc_begin3
	.long	.Lfunc_end3-.Lfunc_begin3
	.byte	1
	.byte	87
	.long	.Linfo_string5

	.byte	3
	.long	368
	.byte	6
	.byte	1
	.byte	85
	.long	.Linfo_string21
	.long	388
	.byte	6
	.byte	1
	.byte	84
	.long	.Linfo_string23
	.long	388
	.byte	6
	.byte	1
	.byte	81
	.long	.Linfo_string24
	.long	388
	.byte	7
	.byte	2
	.byte	117
	.byte	0
	.long	.Linfo_string21
	.long	388
	.byte	7
	.byte	2
	.byte	116
	.byte	0
	.long	.Linfo_string23
	.long	388
	.byte	7
	.byte	2
	.byte	113
	.byte	0
	.long	.Linfo_string24
	.long	388
	.byte	4
	.long	.Ldebug_loc14
	.long	.Linfo_string25
	.long	368
	.byte	8
	.byte	0
	.long	.Linfo_string26
	.long	368
	.byte	0
	.byte	9
	.long	.Linfo_string4
	.byte	5
	.byte	4
	.byte	10
	.byte	11
	.long	381
	.byte	9
	.long	.Linfo_string14
	.byte	5
	.byte	8
	.byte	11
	.long	393
	.byte	9
	.long	.Linfo_string22
	.byte	4
	.byte	4
	.byte	0
.Ldebug_info_end0:
	.section	.debug_ranges,"",@progbits
.Ldebug_ranges0:
	.quad	.Lfunc_begin0
	.quad	.Lfunc_end0
	.quad	.Lfunc_begin3
	.quad	.Lfunc_end3
	.quad	0
	.quad	0
	.section	.debug_str,"MS",@progbits,1
.Linfo_string0:
	.asciz	"TVM"
.Linfo_string1:
	.asciz	"IRModule.CodeGenLLVM"
.Linfo_string2:
	.asciz	"."
.Linfo_string3:
	.asciz	"__tvm_ffi_main"
.Linfo_string4:
	.asciz	"int32"
.Linfo_string5:
	.asciz	"main_compute_"
.Linfo_string6:
	.asciz	"self_handle"
.Linfo_string7:
	.asciz	"args"
.Linfo_string8:
	.asciz	"num_args"
.Linfo_string9:
	.asciz	"result"
.Linfo_string10:
	.asciz	"x.type_index"
.Linfo_string11:
	.asciz	"param_0.type_index"
.Linfo_string12:
	.asciz	"pixel_shuffle_intermediate.type_index"
.Linfo_string13:
	.asciz	"main.x_shape"
.Linfo_string14:
	.asciz	"int64"
.Linfo_string15:
	.asciz	"main.x_strides"
.Linfo_string16:
	.asciz	"dev_id"
.Linfo_string17:
	.asciz	"main.param_0_shape"
.Linfo_string18:
	.asciz	"main.param_0_strides"
.Linfo_string19:
	.asciz	"main.pixel_shuffle_intermediate_shape"
.Linfo_string20:
	.asciz	"main.pixel_shuffle_intermediate_strides"
.Linfo_string21:
	.asciz	"x"
.Linfo_string22:
	.asciz	"float32"
.Linfo_string23:
	.asciz	"param_0"
.Linfo_string24:
	.asciz	"pixel_shuffle_intermediate"
.Linfo_string25:
	.asciz	"v0_i_p"
.Linfo_string26:
	.asciz	"v0_i_q"
	.section	.debug_pubnames,"",@progbits
	.long	.LpubNames_end0-.LpubNames_start0
.LpubNames_start0:
	.short	2
	.long	.Lcu_begin0
	.long	401
	.long	42
	.asciz	"__tvm_ffi_main"
	.long	251
	.asciz	"main_compute_"
	.long	0
.LpubNames_end0:
	.section	.debug_pubtypes,"",@progbits
	.long	.LpubTypes_end0-.LpubTypes_start0
.LpubTypes_start0:
	.short	2
	.long	.Lcu_begin0
	.long	401
	.long	368
	.asciz	"int32"
	.long	381
	.asciz	"int64"
	.long	393
	.asciz	"float32"
	.long	0
.LpubTypes_end0:
	.section	".note.GNU-stack","",@progbits
	.section	.debug_line,"",@progbits
.Lline_table_start0:
