//! Reads the planner's expression trees: constants, declared widths, calls; makes the nodes that replace them.
//!
//! Objects are found from the request itself, never by the search path: the namespace is that of the called function,
//! so that an extension in any schema finds its own.

use crate::pg::fmgr::datum::{Phash, PhashBall, Raw, Varlena};
use pgrx::pg_sys::{self, NodeTag, Oid};
use std::ffi::CStr;

/// An expression in a query.
#[derive(Clone, Copy)]
pub(crate) struct Expression(*mut pg_sys::Node);

/// The planner's state, passed through.
#[derive(Clone, Copy)]
pub(crate) struct Planner(pub(in crate::pg) *mut pg_sys::PlannerInfo);

/// What a planner support function was asked.
pub(crate) enum Request {
    /// Is there a simpler form of this call?
    Simplify { planner: Planner, function: Oid, arguments: Vec<Expression> },
    /// What share of the rows, or pairs of rows, does it keep?
    Selectivity { planner: Planner, function: Oid, relation: i32, join: Option<Join>, arguments: Vec<Expression> },
    /// Is there an operator of an index's family that finds the same rows? `key` is the argument that the index is on;
    /// the other arguments are all known before the index is read.
    IndexCondition { function: Oid, family: Oid, key: usize, arguments: Vec<Expression> },
    /// How many rows does it return?
    Rows { arguments: Vec<Expression> },
    /// Something that lumina has no answer to.
    Other,
}

impl Request {
    /// Reads the argument of a support function.
    pub(crate) fn read(request: Raw) -> Self {
        let node: *mut pg_sys::Node = request.pointer();
        // SAFETY: a support function is called by the planner alone (its argument is `internal`) with a node whose
        // tag says which struct it is.
        unsafe {
            match (*node).type_ {
                NodeTag::T_SupportRequestSimplify => {
                    let request: *mut pg_sys::SupportRequestSimplify = node.cast();
                    Self::Simplify {
                        planner: Planner((*request).root),
                        function: (*(*request).fcall).funcid,
                        arguments: expressions((*(*request).fcall).args),
                    }
                }
                NodeTag::T_SupportRequestSelectivity => {
                    let request: *mut pg_sys::SupportRequestSelectivity = node.cast();
                    let join = Join { kind: (*request).jointype, special: (*request).sjinfo };
                    Self::Selectivity {
                        planner: Planner((*request).root),
                        function: (*request).funcid,
                        relation: (*request).varRelid,
                        join: (*request).is_join.then_some(join),
                        arguments: expressions((*request).args),
                    }
                }
                NodeTag::T_SupportRequestIndexCondition => {
                    let request: *mut pg_sys::SupportRequestIndexCondition = node.cast();
                    let (root, index, key) = ((*request).root, (*request).index, (*request).indexarg as usize);
                    let arguments = Expression((*request).node).arguments();
                    let known = |argument: &Expression| pg_sys::is_pseudo_constant_for_index(root, argument.0, index);
                    if !arguments.iter().enumerate().all(|(at, argument)| at == key || known(argument)) {
                        return Self::Other;
                    }
                    Self::IndexCondition { function: (*request).funcid, family: (*request).opfamily, key, arguments }
                }
                NodeTag::T_SupportRequestRows => {
                    let call = Expression((*node.cast::<pg_sys::SupportRequestRows>()).node);
                    Self::Rows { arguments: call.arguments() }
                }
                _ => Self::Other,
            }
        }
    }

    /// Declines the request.
    pub(crate) fn pass() -> Raw {
        Raw(pg_sys::Datum::null())
    }

    /// Answers [`Request::Simplify`].
    pub(crate) fn replace_by(expression: Expression) -> Raw {
        Raw(pg_sys::Datum::from(expression.0))
    }

    /// Answers [`Request::IndexCondition`] by a condition that finds exactly the same rows.
    pub(crate) fn index_condition(request: Raw, condition: Expression) -> Raw {
        // SAFETY: the caller has read `request` as a Request::IndexCondition; the answer is a list of conditions.
        unsafe {
            (*request.pointer::<pg_sys::SupportRequestIndexCondition>()).lossy = false;
            Raw(pg_sys::Datum::from(pg_sys::lappend(std::ptr::null_mut(), condition.0.cast())))
        }
    }

    /// Answers [`Request::Selectivity`].
    pub(crate) fn selectivity(request: Raw, share: f64) -> Raw {
        // SAFETY: the caller has read `request` as a Request::Selectivity.
        unsafe { (*request.pointer::<pg_sys::SupportRequestSelectivity>()).selectivity = share };
        request
    }

    /// Answers [`Request::Rows`].
    pub(crate) fn rows(request: Raw, rows: f64) -> Raw {
        // SAFETY: the caller has read `request` as a Request::Rows.
        unsafe { (*request.pointer::<pg_sys::SupportRequestRows>()).rows = rows };
        request
    }
}

/// The members of a list of expressions that an estimator was given.
pub(crate) fn list(arguments: Raw) -> Vec<Expression> {
    // SAFETY: the argument is declared `internal`, and the planner passes a List of expressions there.
    unsafe { expressions(arguments.pointer()) }
}

/// # Safety
/// `list` is a List of expressions, or null.
unsafe fn expressions(list: *mut pg_sys::List) -> Vec<Expression> {
    // SAFETY: as promised by the caller.
    unsafe { pgrx::PgList::<pg_sys::Node>::from_pg(list) }.iter_ptr().map(Expression).collect()
}

impl Planner {
    /// The planner's state, from an estimator's argument.
    pub(crate) fn of(argument: Raw) -> Self {
        Planner(argument.pointer())
    }

    /// Whether a condition may be refused: a query's own expressions are being prepared.
    ///
    /// Index predicates are simplified without a query. Later on, when the relations are known, the planner simplifies
    /// constraints, to see whether they exclude a table, and the query's conditions once more for each branch of a
    /// union and each partition: to refuse the former could make a table unusable, and the latter were written for the
    /// whole, maybe about another branch. So were conditions that are pushed into the branches of a set operation.
    pub(crate) fn may_refuse(self) -> bool {
        // SAFETY: the planner's state of a query has its parse tree, and the state of the query around it or null; the
        // array of its relations is null until query_planner sets it up, after the expressions were prepared.
        unsafe {
            if self.0.is_null() || !(*self.0).simple_rel_array.is_null() {
                return false;
            }
            let mut outer = (*self.0).parent_root;
            while !outer.is_null() {
                if !(*(*outer).parse).setOperations.is_null() || !(*outer).append_rel_list.is_null() {
                    return false;
                }
                outer = (*outer).parent_root;
            }
            true
        }
    }
}

/// How two sides are joined, from an estimator's arguments.
#[derive(Clone, Copy)]
pub(crate) struct Join {
    kind: pg_sys::JoinType::Type,
    special: *mut pg_sys::SpecialJoinInfo,
}

impl Join {
    /// From the arguments of an operator's join estimator.
    pub(crate) fn of(kind: i16, special: Raw) -> Self {
        Join { kind: kind as pg_sys::JoinType::Type, special: special.pointer() }
    }

    /// Where the join only asks whether there is a match (EXISTS, NOT EXISTS, IN): the rows that it searches, and
    /// whether `expression` is of that side.
    pub(crate) fn looks_among(self, planner: Planner, expression: Expression) -> Option<(f64, bool)> {
        use pg_sys::JoinType::{JOIN_ANTI, JOIN_SEMI};
        if !(self.kind == JOIN_SEMI || self.kind == JOIN_ANTI) || self.special.is_null() {
            return None;
        }
        let mut one = 0;
        // SAFETY: the planner's state and the join's description belong together; the relations were already sized.
        unsafe {
            let inner = (*self.special).min_righthand;
            let relation = match pg_sys::bms_get_singleton_member(inner, &raw mut one) {
                true => pg_sys::find_base_rel(planner.0, one),
                false => pg_sys::find_join_rel(planner.0, inner),
            };
            let is_inner = pg_sys::bms_is_subset(pg_sys::pull_varnos(planner.0, expression.0), inner);
            relation.as_ref().map(|relation| (relation.rows, is_inner))
        }
    }
}

impl Expression {
    /// # Safety
    /// `node` is an expression of a query, alive as long as this is used.
    pub(in crate::pg) unsafe fn of(node: *mut pg_sys::Node) -> Self {
        Expression(node)
    }

    pub(in crate::pg) fn pointer(self) -> *mut pg_sys::Node {
        self.0
    }

    fn is(self, tag: NodeTag) -> bool {
        // SAFETY: an expression is a node; every node begins with its tag.
        !self.0.is_null() && unsafe { (*self.0).type_ } == tag
    }

    /// Whether it is of a type.
    pub(crate) fn is_of(self, type_: Oid) -> bool {
        // SAFETY: an expression is a node.
        unsafe { pg_sys::exprType(self.0) == type_ }
    }

    /// Its value, if it is a constant of a type and not NULL.
    fn constant(self, type_: Oid) -> Option<pg_sys::Datum> {
        if !self.is(NodeTag::T_Const) {
            return None;
        }
        let constant: *mut pg_sys::Const = self.0.cast();
        // SAFETY: the tag says that it is a Const.
        unsafe { ((*constant).consttype == type_ && !(*constant).constisnull).then(|| (*constant).constvalue) }
    }

    /// Its value as an `int4` constant.
    pub(crate) fn constant_int(self) -> Option<i32> {
        self.constant(pg_sys::INT4OID).map(|datum| datum.value() as i32)
    }

    /// The arguments, if it is a function call.
    pub(crate) fn arguments(self) -> Vec<Expression> {
        if !self.is(NodeTag::T_FuncExpr) {
            return Vec::new();
        }
        // SAFETY: the tag says that it is a FuncExpr.
        unsafe { expressions((*self.0.cast::<pg_sys::FuncExpr>()).args) }
    }

    /// The function and the operands of an operator.
    pub(crate) fn operation(self) -> Option<(Oid, Vec<Expression>)> {
        if !self.is(NodeTag::T_OpExpr) {
            return None;
        }
        let operation: *mut pg_sys::OpExpr = self.0.cast();
        // SAFETY: the tag says that it is an OpExpr.
        unsafe {
            pg_sys::set_opfuncid(operation);
            Some(((*operation).opfuncid, expressions((*operation).args)))
        }
    }

    /// The width in bits that a `phash` expression is declared with, through domains.
    ///
    /// A cast of a `phash(64)` to plain `phash` asks for any width.
    pub(crate) fn declared_bits(self) -> Option<usize> {
        let mut node = self.0;
        // SAFETY: an expression is a node; the tag says which struct a RelabelType is. exprType, exprTypmod and
        // getBaseTypeAndTypmod read expressions of any kind and the catalog.
        let modifier = unsafe {
            let mut modifier = pg_sys::exprTypmod(node);
            while modifier < 0 && (*node).type_ == NodeTag::T_RelabelType {
                let inner: *mut pg_sys::Node = (*node.cast::<pg_sys::RelabelType>()).arg.cast();
                if pg_sys::exprType(inner) == pg_sys::exprType(node) {
                    return None;
                }
                node = inner;
                modifier = pg_sys::exprTypmod(node);
            }
            if modifier < 0 {
                pg_sys::getBaseTypeAndTypmod(pg_sys::exprType(node), &raw mut modifier);
            }
            modifier
        };
        usize::try_from(modifier).ok()
    }
}

/// The objects of the extension around a function of its own.
pub(crate) struct Objects {
    namespace: Oid,
    hash: Oid,
    ball: Oid,
    in_ball: Oid,
}

impl Objects {
    /// Those in the schema of `function`; `None` where one is missing.
    pub(crate) fn beside(function: Oid) -> Option<Self> {
        use pg_sys::SysCacheIdentifier::{OPERNAMENSP, TYPENAMENSP};
        // SAFETY: catalog look-ups by name and namespace with the keys of each cache.
        unsafe {
            let namespace = pg_sys::get_func_namespace(function);
            let typed =
                |name| find(TYPENAMENSP, pg_sys::Anum_pg_type_oid, [name, namespace.into(), 0.into(), 0.into()]);
            let (hash, ball) = (typed(name(c"phash"))?, typed(name(c"phash_ball"))?);
            let keys = [name(c"<@"), hash.into(), ball.into(), namespace.into()];
            let in_ball = find(OPERNAMENSP, pg_sys::Anum_pg_operator_oid, keys)?;
            Some(Objects { namespace, hash, ball, in_ball })
        }
    }

    /// Those in the schema of an operator's function.
    pub(crate) fn beside_operator(operator: Oid) -> Option<Self> {
        // SAFETY: a catalog look-up.
        Self::beside(unsafe { pg_sys::get_opcode(operator) })
    }

    /// The value of a constant of type `phash`.
    pub(crate) fn constant_hash<'a>(&self, expression: &'a Expression) -> Option<Phash<'a>> {
        // SAFETY: the constant is a `phash`, and lives as long as its node.
        expression.constant(self.hash).map(|datum| unsafe { Phash::read(datum) })
    }

    /// The value of a constant of type `phash_ball`.
    pub(crate) fn constant_ball<'a>(&self, expression: &'a Expression) -> Option<PhashBall<'a>> {
        // SAFETY: the constant is a `phash_ball`, and lives as long as its node.
        expression.constant(self.ball).map(|datum| unsafe { PhashBall::read(datum) })
    }

    /// The type `phash`.
    pub(crate) fn hash_type(&self) -> Oid {
        self.hash
    }

    /// The type `phash_ball`.
    pub(crate) fn ball_type(&self) -> Oid {
        self.ball
    }

    /// Whether `<@` is an operator of an index's family.
    pub(crate) fn family_has_in_ball(&self, family: Oid) -> bool {
        // SAFETY: a catalog look-up.
        unsafe { pg_sys::op_in_opfamily(self.in_ball, family) }
    }

    /// A constant of type `phash_ball`, from its binary form.
    pub(crate) fn ball(&self, ball: Varlena) -> Expression {
        // SAFETY: the maker of a node; the datum lives in the planner's memory, as the node does.
        Expression(unsafe {
            pg_sys::makeConst(self.ball, -1, Oid::INVALID, -1, ball.into_datum(), false, false).cast()
        })
    }

    /// The call `phash_search_ball(center, radius)`.
    pub(crate) fn search_ball(&self, center: Expression, radius: Expression) -> Option<Expression> {
        use pg_sys::CoercionForm::COERCE_EXPLICIT_CALL;
        use pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP;
        let types = [self.hash, pg_sys::INT4OID];
        // SAFETY: a catalog look-up with the keys of its cache, which asks for no privilege on the schema, and the
        // maker of a node.
        unsafe {
            let types = pg_sys::buildoidvector(types.as_ptr(), types.len() as i32);
            let keys = [name(c"phash_search_ball"), pg_sys::Datum::from(types), self.namespace.into(), 0.into()];
            let function = find(PROCNAMEARGSNSP, pg_sys::Anum_pg_proc_oid, keys)?;
            let mut arguments = std::ptr::null_mut();
            for argument in [center, radius] {
                arguments = pg_sys::lappend(arguments, argument.0.cast());
            }
            let (none, explicit) = (Oid::INVALID, COERCE_EXPLICIT_CALL);
            Some(Expression(pg_sys::makeFuncExpr(function, self.ball, arguments, none, none, explicit).cast()))
        }
    }

    /// The expression `hash <@ ball`.
    pub(crate) fn in_ball(&self, hash: Expression, ball: Expression) -> Expression {
        let none = Oid::INVALID;
        // SAFETY: the maker of a node, and the look-up of its function.
        unsafe {
            let (hash, ball) = (hash.0.cast(), ball.0.cast());
            let clause = pg_sys::make_opclause(self.in_ball, pg_sys::BOOLOID, false, hash, ball, none, none);
            pg_sys::set_opfuncid(clause.cast());
            Expression(clause.cast())
        }
    }
}

fn name(name: &'static CStr) -> pg_sys::Datum {
    pg_sys::Datum::from(name.as_ptr())
}

/// # Safety
/// The keys are those of the cache.
unsafe fn find(cache: pg_sys::SysCacheIdentifier::Type, oid: u32, keys: [pg_sys::Datum; 4]) -> Option<Oid> {
    let [a, b, c, d] = keys;
    // SAFETY: as promised by the caller.
    let found = unsafe { pg_sys::GetSysCacheOid(cache as i32, oid as pg_sys::AttrNumber, a, b, c, d) };
    (found != Oid::INVALID).then_some(found)
}
